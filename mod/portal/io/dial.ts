/** From a host name to a byte stream: resolution, a race of TCP connections, TLS. */
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, rootCertificates } from "node:tls";

const MAX_ADDRESSES = 16;

export interface Destination {
  /** Name or IP literal. */
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/**
 * Connects to a host, with TLS if it is to be secure. Aborting the signal destroys what was begun; the promise may
 * then stay pending.
 * @param ca further certificate authorities, PEM
 */
export async function dial(to: Destination, ca: string | undefined, signal: AbortSignal): Promise<Socket> {
  const tcp = await raceTcp(await resolve(to.host), to.port, signal);
  return to.secure ? await secure(tcp, to.host, ca, signal) : tcp;
}

function secure(tcp: Socket, host: string, ca: string | undefined, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const tls = connectTls({
      socket: tcp,
      host,
      ...(isIP(host) === 0 && { servername: host }),
      ALPNProtocols: ["http/1.1"],
      ...(ca !== undefined && { ca: [...rootCertificates, ca] }),
    });
    tls.once("secureConnect", () => resolve(tls));
    tls.once("error", reject);
    signal.addEventListener("abort", () => tls.destroy(), { once: true });
  });
}

/** All addresses of a host by the system's resolver; IP literals as they are. */
async function resolve(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const found = await lookup(host, { all: true });
  const addresses = [...new Set(found.map((one) => one.address))].slice(0, MAX_ADDRESSES);
  if (addresses.length === 0) throw new Error(`no address for ${host}`);
  return addresses;
}

/** Connects to all addresses at once; the first that stands wins and the others are dropped. */
async function raceTcp(addresses: readonly string[], port: number, signal: AbortSignal): Promise<Socket> {
  const sockets = addresses.map((host) => connectTcp({ host, port }));
  const dropAll = () => sockets.forEach((socket) => socket.destroy());
  signal.addEventListener("abort", dropAll, { once: true });
  try {
    const winner = await Promise.any(sockets.map((socket) =>
      new Promise<Socket>((resolve, reject) => {
        socket.once("connect", () => resolve(socket));
        socket.once("error", reject);
        socket.once("close", () => reject(new Error("connection closed")));
      })
    ));
    for (const socket of sockets) if (socket !== winner) socket.destroy();
    winner.setNoDelay(true);
    return winner;
  } finally {
    signal.removeEventListener("abort", dropAll);
  }
}

/** One line for an error; never holds the URL, since none of these errors know its query. */
export function describe(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(describe))].join("; ");
  return error instanceof Error ? error.message : String(error);
}
