/** Between the runtime's HTTP server and handlers that take a `Request` and give a `Response`. */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";

/** Forms are small, and nothing else has a body here. */
const MAX_BODY = 64 << 10;

/** @returns undefined when the request makes no sense as one */
export function requestHead(message: IncomingMessage): Request | undefined {
  try {
    const headers = new Headers();
    for (let i = 0; i + 1 < message.rawHeaders.length; i += 2) {
      headers.append(message.rawHeaders[i]!, message.rawHeaders[i + 1]!);
    }
    // The host plays no part in routing; what the request says about it may be anything.
    return new Request(new URL(`http://portal${pathOf(message.url)}`), { method: message.method!, headers });
  } catch {
    return undefined;
  }
}

/** With the body, which is read to its end. @returns undefined when it is too long */
export async function requestWithBody(head: Request, message: IncomingMessage): Promise<Request | undefined> {
  if (head.method === "GET" || head.method === "HEAD") return head;
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of message) {
    length += part.length;
    if (length > MAX_BODY) return undefined;
    parts.push(part);
  }
  return new Request(head, { body: Buffer.concat(parts) });
}

/** Sends the answer, as fast as the other end reads. */
export async function respond(response: Response, to: ServerResponse): Promise<void> {
  to.statusCode = response.status;
  for (const [name, value] of response.headers) {
    if (name !== "set-cookie") to.setHeader(name, value);
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) to.setHeader("set-cookie", cookies);
  const reader = response.body?.getReader();
  if (!reader) return void to.end();
  const gone = new Promise<void>((resolve) => to.once("close", resolve));
  try {
    for (;;) {
      const part = await Promise.race([reader.read(), gone]);
      if (!part || part.done) break;
      if (!to.write(part.value)) await Promise.race([new Promise<void>((go) => to.once("drain", go)), gone]);
    }
  } finally {
    await reader.cancel().catch(() => {});
    to.end();
  }
}

/** The answer on a bare connection, which ends with it. */
export async function rawResponse(response: Response): Promise<string> {
  const body = await response.text();
  const lines = [`HTTP/1.1 ${response.status} ${response.statusText || "Refused"}`];
  for (const [name, value] of response.headers) lines.push(`${name}: ${value}`);
  lines.push(`content-length: ${Buffer.byteLength(body)}`, "connection: close", "", body);
  return lines.join("\r\n");
}

/** Path and query, also of a URL in absolute form (RFC 9112 §3.2.2). */
function pathOf(url = "/"): string {
  if (url.startsWith("/")) return url;
  const { pathname, search } = new URL(url);
  return pathname + search;
}
