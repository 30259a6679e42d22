/** CONNECT (RFC 9110 §9.3.6): makes a stream to an HTTP proxy a stream to the portal. */
import { isIP, type Socket } from "node:net";
import { printable } from "../frame.ts";
import type { Endpoint, Proxy } from "../proxy.ts";

const MAX_ANSWER = 16 * 1024;

/** The proxy is there and said no. */
export class ProxyRefusal extends Error {
  override readonly name = "ProxyRefusal";
}

/**
 * Asks the proxy at the other end of `stream` for a tunnel; afterwards the stream belongs to the portal.
 * @throws ProxyRefusal with what to do; Error when there is no proper answer. Neither names the credentials.
 */
export function openTunnel(stream: Socket, proxy: Proxy, to: Endpoint): Promise<void> {
  const target = `${isIP(to.host) === 6 ? `[${to.host}]` : to.host}:${to.port}`;
  const { authorization } = proxy;
  stream.write(
    `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n` +
      `${authorization === undefined ? "" : `Proxy-Authorization: ${authorization}\r\n`}\r\n`,
    "latin1",
  );
  return new Promise((resolve, reject) => {
    let answer: Uint8Array = new Uint8Array(0);
    const end = (error?: Error) => {
      stream.off("readable", onReadable).off("error", onError).off("close", onClose);
      if (error) reject(error);
      else resolve();
    };
    // Not by "data": a stream that flows, or is paused, can't be handed on.
    const onReadable = () => {
      for (let chunk: Uint8Array | null; (chunk = stream.read()) !== null;) answer = joined(answer, chunk);
      const head = headLength(answer);
      if (head < 0) {
        if (answer.length > MAX_ANSWER) end(new Error(`the proxy ${proxy.label} does not speak HTTP`));
        return;
      }
      const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(latin1(answer.subarray(0, head)))?.[1] ?? NaN);
      end(refusal(status, proxy, target));
      // What follows is the portal's already.
      if (answer.length > head) stream.unshift(answer.subarray(head));
    };
    const onError = (error: Error) =>
      end(new Error(`the proxy ${proxy.label} failed: ${printable(error.message)}`));
    const onClose = () => end(new Error(`the proxy ${proxy.label} closed the connection`));
    stream.on("readable", onReadable).on("error", onError).on("close", onClose);
  });
}

function refusal(status: number, proxy: Proxy, target: string): Error | undefined {
  if (status >= 200 && status < 300) return undefined;
  const { label, variable, authorization } = proxy;
  if (Number.isNaN(status)) return new Error(`the proxy ${label} does not speak HTTP`);
  if (status === 407) {
    return new ProxyRefusal(
      authorization === undefined
        ? `the proxy ${label} wants credentials (HTTP 407); put them into ${variable} as http://user:password@host:port`
        : `the proxy ${label} does not accept the credentials in ${variable} (HTTP 407); it has to allow Basic`,
    );
  }
  return new ProxyRefusal(
    status >= 500
      ? `the proxy ${label} cannot reach ${target} (HTTP ${status})`
      : `the proxy ${label} refuses to connect to ${target} (HTTP ${status}); allow it there, or list the host in NO_PROXY`,
  );
}

/** Length of the header with the empty line behind it, or -1. */
function headLength(bytes: Uint8Array): number {
  const at = latin1(bytes).indexOf("\r\n\r\n");
  return at < 0 ? -1 : at + 4;
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
