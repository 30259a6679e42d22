/**
 * The embedded portal as a server: HTTP and WebSockets around {@link PortalCore}.
 *
 * WebSocket pings must never leave this server: old devices take an empty one for a broken frame and reconnect. Hence
 * `idleTimeout: 0`; the core finds idle sockets by itself.
 */
import { type Context, Hono } from "hono";
import { getConnInfo } from "hono/deno";
import type { Dialect, Role } from "../../../portal/login_url.ts";
import { isProblem, type Problem } from "../core/admission.ts";
import { type Closure, type DeviceStatus, PortalCore } from "../core/core.ts";
import type { DeviceDetails } from "../core/device_details.ts";
import type { PortalPolicy, RelayPolicy } from "../policy/policy.ts";
import { loadPolicy } from "../policy/io.ts";
import type { Grant } from "../core/grants.ts";
import type { Happening, ReceivedReport } from "../core/happenings.ts";
import type { JoinedRelay } from "../core/relays.ts";
import { hashToken, type TokenRecord } from "../core/tokens.ts";
import type { Id } from "../../../portal/types.ts";
import type { Portal } from "./portal.ts";
import type { PortalEvent } from "../core/state.ts";
import { Store } from "../store/store.ts";

/** Characters of the longest frame that a device may send, and bytes that may wait for a slow reader. */
const MAX_FRAME = 1 << 20;
const MAX_BUFFERED = 16 << 20;
const STOP_TIMEOUT = 500;

export interface PortalServerOptions {
  /** Path of the policy file, or a policy. */
  readonly policy: string | PortalPolicy;
  readonly listen: { readonly hostname: string; readonly port: number };
  /** Relays besides the policy's own, such as one in this process. */
  readonly relays: readonly RelayPolicy[];
  /** SQLite file; without it the portal forgets everything when it ends. */
  readonly statePath?: string;
  /** PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly onLog?: (level: "info" | "warning", text: string) => void;
}

export interface PortalServer extends Portal {
  /** Base URL for devices, such as `ws://127.0.0.1:8443`. */
  readonly url: string;
  readonly port: number;
  /** Reads the policy file again, or takes the given policy. @throws PolicyError; then the old one stays in force */
  reload(policy?: PortalPolicy): void;
  setRelays(relays: readonly RelayPolicy[]): void;
  stop(): Promise<void>;
}

/** @throws PolicyError, or what opening the state or the port throws */
export function startPortal(options: PortalServerOptions): Promise<PortalServer> {
  // A promise, so that starting may come to wait for something (a certificate, a database) without another contract.
  return Promise.resolve().then(() => new Server(options));
}

class Server implements PortalServer {
  readonly url: string;
  readonly port: number;
  #policy: PortalPolicy;
  readonly #options: PortalServerOptions;
  readonly #store: Store | undefined;
  readonly #core: PortalCore;
  readonly #sockets = new Map<number, WebSocket>();
  readonly #http: Deno.HttpServer<Deno.NetAddr>;
  readonly #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: PortalServerOptions) {
    this.#options = options;
    this.#policy = typeof options.policy === "string" ? loadPolicy(options.policy) : options.policy;
    this.#store = options.statePath === undefined ? undefined : new Store(options.statePath);
    this.#core = new PortalCore({
      policy: this.#policy,
      relays: options.relays,
      stored: this.#store?.load(),
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      unixNow: () => this.unixNow(),
      now: performance.now(),
    });
    const { hostname, port } = options.listen;
    this.#http = Deno.serve({
      hostname,
      port,
      signal: this.#abort.signal,
      onListen: () => {},
      ...(options.tls && { cert: options.tls.cert, key: options.tls.key }),
    }, this.#routes().fetch);
    this.port = this.#http.addr.port;
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    this.url = `${options.tls ? "wss" : "ws"}://${host}:${this.port}`;
    this.#drain();
  }

  get policy(): PortalPolicy {
    return this.#policy;
  }

  online(): DeviceStatus[] {
    return this.#core.online;
  }

  devices(): DeviceDetails[] {
    return this.#core.devices(performance.now());
  }

  grants(): readonly Grant[] {
    return this.#core.grants;
  }

  tokens(): readonly TokenRecord[] {
    return this.#core.tokens;
  }

  unixNow(): number {
    return Math.floor(Date.now() / 1000);
  }

  addToken(token: string, of: Pick<TokenRecord, "role" | "owner" | "providerId" | "expiresAt">): TokenRecord {
    const createdAt = this.unixNow();
    const record = { ...of, id: crypto.randomUUID(), hash: hashToken(token), createdAt };
    this.#core.addToken(record);
    this.#drain();
    return record;
  }

  revokeToken(id: Id): boolean {
    const found = this.#core.revokeToken(id);
    this.#drain();
    return found;
  }

  reports(): readonly ReceivedReport[] {
    return this.#core.reports;
  }

  recent(): readonly Happening[] {
    return this.#core.recent;
  }

  relays(): readonly JoinedRelay[] {
    return this.#core.joinedRelays;
  }

  verify(clientId: Id, verified: boolean): boolean {
    const found = this.#core.verify(clientId, verified);
    this.#drain();
    return found;
  }

  disconnect(deviceId: Id): boolean {
    const found = this.#core.disconnect(deviceId, performance.now());
    this.#drain();
    return found;
  }

  reload(policy?: PortalPolicy): void {
    const given = policy ?? this.#options.policy;
    const next = typeof given === "string" ? loadPolicy(given) : given;
    this.#policy = next;
    this.#core.setPolicy(next);
    this.#drain();
  }

  setRelays(relays: readonly RelayPolicy[]): void {
    this.#core.setRelays(relays);
    this.#drain();
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const socket of this.#sockets.values()) closeSocket(socket, 1012, "shutting down");
    const late = setTimeout(() => this.#abort.abort(), STOP_TIMEOUT);
    await this.#http.shutdown();
    await this.#http.finished;
    clearTimeout(late);
    this.#store?.close();
  }

  #routes(): Hono {
    const app = new Hono();
    app.get("/healthz", (c) => c.json({ status: "ok" }));
    for (const role of ["gateway", "client"] as const) {
      app.get(`/${role}/websocket`, (c) => this.#upgrade(c, role, "v1"));
      app.get(`/${role}/v2/websocket`, (c) => this.#upgrade(c, role, "v2"));
    }
    return app;
  }

  #upgrade(c: Context, role: Role, dialect: Dialect): Response {
    if (c.req.header("upgrade")?.toLowerCase() !== "websocket") return c.text("WebSocket expected", 426);
    const query = (name: string) => c.req.query(name);
    const bearer = /^Bearer (.*)$/.exec(c.req.header("x-authorization") ?? "")?.[1];
    const admission = this.#core.admit({
      role,
      dialect,
      token: bearer ?? query("token"),
      externalId: query("external_id") ?? query("firezone_id"),
      name: query("name"),
      publicKey: query("public_key"),
      userAgent: c.req.header("user-agent") ?? "",
      vsn: query("vsn"),
      remoteIp: getConnInfo(c).remote.address ?? "",
      region: undefined,
    });
    if (isProblem(admission)) return this.#refuse(role, admission);
    const id = this.#core.handleOpen(admission, performance.now());
    if (typeof id !== "number") return this.#refuse(role, id);
    const { socket, response } = Deno.upgradeWebSocket(c.req.raw, { idleTimeout: 0 });
    this.#sockets.set(id, socket);
    socket.onmessage = ({ data }) => this.#receive(id, socket, data);
    socket.onclose = ({ code, reason }) => this.#forget(id, { code, reason });
    socket.onerror = () => this.#forget(id);
    this.#drain();
    return response;
  }

  #refuse(role: Role, problem: Problem): Response {
    this.#options.onLog?.(
      "warning",
      `Refused a ${role}: ${problem.status} ${problem.code}, ${problem.detail}`,
    );
    const headers = new Headers({ "content-type": "application/problem+json" });
    if (problem.status === 503) headers.set("retry-after", "1");
    return new Response(JSON.stringify(problem), { status: problem.status, headers });
  }

  #receive(id: number, socket: WebSocket, data: unknown): void {
    if (typeof data !== "string") return;
    if (data.length > MAX_FRAME) {
      closeSocket(socket, 1009, "frame too long");
      return this.#forget(id);
    }
    this.#core.handleText(id, data, performance.now());
    this.#drain();
  }

  #forget(id: number, closure?: Closure): void {
    if (!this.#sockets.delete(id)) return;
    this.#core.handleClosed(id, performance.now(), closure);
    this.#drain();
  }

  /** Store, then transmit, then close. */
  #drain(): void {
    if (this.#stopped) return;
    const events: PortalEvent[] = [];
    for (let event; (event = this.#core.pollEvent()) !== undefined;) events.push(event);
    this.#store?.apply(events);
    const slow = new Set<number>();
    for (let transmit; (transmit = this.#core.pollTransmit()) !== undefined;) {
      const socket = this.#sockets.get(transmit.socket);
      if (socket?.readyState !== WebSocket.OPEN) continue;
      if (socket.bufferedAmount > MAX_BUFFERED) slow.add(transmit.socket);
      else socket.send(transmit.text);
    }
    for (const event of events) this.#act(event);
    for (const id of slow) {
      closeSocket(this.#sockets.get(id), 1013, "too slow");
      this.#forget(id);
    }
    this.#schedule();
  }

  #act(event: PortalEvent): void {
    if (event.type === "log") this.#options.onLog?.(event.level, event.text);
    if (event.type !== "close") return;
    const socket = this.#sockets.get(event.socket);
    this.#sockets.delete(event.socket);
    closeSocket(socket, event.code, event.reason);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const at = this.#core.pollTimeout();
    if (at === undefined) return;
    this.#timer = setTimeout(() => {
      this.#core.handleTimeout(performance.now());
      this.#drain();
    }, Math.max(at - performance.now(), 0));
  }
}

function closeSocket(socket: WebSocket | undefined, code: number, reason: string): void {
  if (socket && socket.readyState < WebSocket.CLOSING) socket.close(code, reason);
}
