/**
 * From a host name to a byte stream that is ready for the upgrade: resolution, a race of TCP connections, the proxy's
 * CONNECT, TLS.
 *
 * - Every attempt resolves anew. When the resolver fails, or takes longer than 3 s, the addresses that it gave last
 *   are tried: a portal outlives the name servers.
 * - TCP goes to all addresses at once. Whichever stands first goes on with CONNECT and TLS; when it has not come
 *   through after a second, or failed, the next one that stands begins as well. So neither an address that is dead nor
 *   one that takes connections and says nothing costs more than a second.
 */
import { lookup } from "node:dns/promises";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, rootCertificates } from "node:tls";
import type { Endpoint, Proxy } from "../proxy.ts";
import { openTunnel, ProxyRefusal } from "./tunnel.ts";

const MAX_ADDRESSES = 16;
const RESOLVE_PATIENCE_MS = 3_000;
const HANDSHAKE_PATIENCE_MS = 1_000;

export interface DialOptions {
  /** Further certificate authorities, PEM. */
  readonly ca?: string | undefined;
  readonly proxy?: Proxy | undefined;
  /** All addresses of a name; the system's resolver when absent. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

export class Dialer {
  readonly #to: Endpoint;
  readonly #options: DialOptions;
  /** What the resolver said last. */
  #known: readonly string[] = [];

  constructor(to: Endpoint, options: DialOptions) {
    this.#to = to;
    this.#options = options;
  }

  /** Aborting the signal destroys what was begun; the promise may then stay pending. */
  async dial(signal: AbortSignal): Promise<Socket> {
    const next = this.#options.proxy ?? this.#to;
    const addresses = await this.#resolve(next.host);
    signal.throwIfAborted();
    return await new Race(addresses, next.port, (socket) => this.#prepare(socket, signal), signal).winner;
  }

  /** TLS to the proxy, CONNECT, TLS to the portal: as far as they are wanted. */
  async #prepare(socket: Socket, signal: AbortSignal): Promise<Socket> {
    const { proxy } = this.#options;
    if (!proxy) return await this.#secure(socket, this.#to, signal);
    const stream = await this.#secure(socket, proxy, signal);
    await openTunnel(stream, proxy, this.#to);
    return await this.#secure(stream, this.#to, signal);
  }

  #secure(socket: Socket, { host, secure }: Endpoint, signal: AbortSignal): Promise<Socket> {
    if (!secure) return Promise.resolve(socket);
    const { ca } = this.#options;
    return new Promise((resolve, reject) => {
      const tls = connectTls({
        socket,
        host,
        ...(isIP(host) === 0 && { servername: host }),
        ALPNProtocols: ["http/1.1"],
        ...(ca !== undefined && { ca: [...rootCertificates, ca] }),
      });
      const giveUp = () => tls.destroy();
      signal.addEventListener("abort", giveUp, { once: true });
      tls.once("secureConnect", () => {
        // From here on it is ended in good order by whoever uses it.
        signal.removeEventListener("abort", giveUp);
        resolve(tls);
      });
      tls.on("error", reject);
      tls.once("close", () => reject(new Error(`${host} closed the connection during the TLS handshake`)));
    });
  }

  async #resolve(host: string): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host];
    const { promise: late, resolve } = Promise.withResolvers<readonly string[]>();
    const patience = this.#known.length === 0
      ? undefined
      : setTimeout(() => resolve(this.#known), RESOLVE_PATIENCE_MS);
    try {
      return await Promise.race([this.#lookup(host), late]);
    } catch (error) {
      if (this.#known.length === 0) throw error;
      return this.#known;
    } finally {
      clearTimeout(patience);
    }
  }

  async #lookup(host: string): Promise<readonly string[]> {
    const found = await (this.#options.resolve ?? systemAddresses)(host);
    const addresses = [...new Set(found)].slice(0, MAX_ADDRESSES);
    if (addresses.length === 0) throw new Error(`no address for ${host}`);
    return this.#known = addresses;
  }
}

async function systemAddresses(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** Connections to several addresses, of which one is to win. */
class Race {
  readonly #prepare: (socket: Socket) => Promise<Socket>;
  /** Those that may still win. */
  readonly #runners: Set<Socket>;
  /** Connected, and waiting for their turn. */
  readonly #standing: Socket[] = [];
  readonly #errors: unknown[] = [];
  readonly #outcome = Promise.withResolvers<Socket>();
  readonly #preparing = new Set<Socket>();
  #isImpatient = false;
  #patience: ReturnType<typeof setTimeout> | undefined;

  constructor(
    addresses: readonly string[],
    port: number,
    prepare: (socket: Socket) => Promise<Socket>,
    signal: AbortSignal,
  ) {
    this.#prepare = prepare;
    this.#runners = new Set(addresses.map((host) => connectTcp({ host, port })));
    for (const socket of this.#runners) {
      socket.once("connect", () => this.#stand(socket));
      // Whoever prepares a socket notices by itself, and knows better what it means.
      const onEnd = (error: Error) => this.#preparing.has(socket) || this.#fall(socket, error);
      socket.on("error", onEnd);
      socket.once("close", () => onEnd(new Error("connection closed")));
    }
    signal.addEventListener("abort", () => this.#end(), { once: true });
  }

  get winner(): Promise<Socket> {
    return this.#outcome.promise;
  }

  #stand(socket: Socket): void {
    socket.setNoDelay(true);
    this.#standing.push(socket);
    if (this.#preparing.size === 0 || this.#isImpatient) this.#next();
  }

  /** Gives the next one its turn. */
  #next(): void {
    clearTimeout(this.#patience);
    const socket = this.#standing.shift();
    this.#isImpatient = socket === undefined;
    if (!socket) return;
    if (!this.#runners.has(socket)) return this.#next();
    this.#preparing.add(socket);
    this.#patience = setTimeout(() => this.#next(), HANDSHAKE_PATIENCE_MS);
    this.#prepare(socket).then((stream) => {
      this.#runners.delete(socket);
      this.#end();
      this.#outcome.resolve(stream);
    }, (error) => {
      this.#preparing.delete(socket);
      this.#fall(socket, error);
    });
  }

  #fall(socket: Socket, error: unknown): void {
    if (!this.#runners.delete(socket)) return;
    socket.destroy();
    this.#errors.push(error);
    if (this.#runners.size === 0) {
      clearTimeout(this.#patience);
      this.#outcome.reject(new AggregateError(this.#errors));
    } else if (this.#preparing.size === 0) this.#next();
  }

  #end(): void {
    clearTimeout(this.#patience);
    for (const socket of this.#runners) socket.destroy();
    this.#runners.clear();
  }
}

/** One line for an error; never holds the URL, since none of these errors know its query. */
export function describe(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(describe))].join("; ");
  return error instanceof Error ? error.message : String(error);
}

/** The proxy answered, and not with a tunnel. */
export function isProxyRefusal(error: unknown): boolean {
  return error instanceof AggregateError ? error.errors.some(isProxyRefusal) : error instanceof ProxyRefusal;
}
