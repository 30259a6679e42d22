/**
 * The embedded portal as a server: logins of devices, pages for people, and the facade that both and the program use,
 * around {@link PortalCore}.
 */
import type { WebSocket } from "ws";
import { Counters } from "../../../packet/counters.ts";
import type { Id } from "../../../portal/types.ts";
import { LiveState } from "../admin/mod.ts";
import { isProblem, type LoginAttempt, type Problem, temporary } from "../core/admission.ts";
import { type DeviceStatus, PortalCore } from "../core/core.ts";
import type { DeviceDetails } from "../core/device_details.ts";
import type { Grant } from "../core/grants.ts";
import type { Happening, ReceivedReport } from "../core/happenings.ts";
import type { JoinedRelay } from "../core/relays.ts";
import { hashToken, type TokenRecord } from "../core/tokens.ts";
import { type Administration, Administrator } from "../control/mod.ts";
import type { PolicyDiff } from "../policy/diff.ts";
import { PolicyKeeper } from "../policy/keeper.ts";
import type { PortalPolicy, RelayPolicy } from "../policy/policy.ts";
import { BrowserSessions } from "../sign_in/mod.ts";
import { Store } from "../store/store.ts";
import { Certificate, type CertificateSource } from "./certificate.ts";
import { ConnectionTable } from "./connection_table.ts";
import { CoreRunner, type LogSink } from "./core_runner.ts";
import { loginAttempt, refusal } from "./device_login.ts";
import { HttpListener, type ListenerOptions, type UpgradeAnswer } from "./http_listener.ts";
import { LoginLimits } from "./login_limits.ts";
import { isLoopback, sourceOf } from "./peer.ts";
import { type Portal, REPORT_INTERVAL_SECS } from "./portal.ts";
import { portalRoutes } from "./routes.tsx";
import { type Remote, TrustedProxies } from "./trusted_proxies.ts";

/** A device takes about 50 kB, with TLS 75. A thousand devices behind one address may come at once. */
const CONNECTIONS = { pending: 4_000, pendingOfSource: 1_500, sockets: 10_000, socketsOfSource: 2_500 };
const STOP_TIMEOUT = 500;
const BUSY_SECONDS = 5;

export interface PortalServerOptions {
  /** Path of the policy file, or a policy. */
  readonly policy: string | PortalPolicy;
  readonly listen: { readonly hostname: string; readonly port: number };
  /** Another port, on the loopback and without TLS: for a gateway in this process. */
  readonly loopback?: boolean;
  /** Relays besides the policy's own, such as one in this process. */
  readonly relays: readonly RelayPolicy[];
  /** SQLite file; without it the portal forgets everything when it ends. */
  readonly statePath?: string;
  /** PEM texts, or files of such, which are read again when they change. */
  readonly tls?: CertificateSource;
  /** Networks of the reverse proxies whose `X-Forwarded-*` headers count. */
  readonly trustedProxies?: readonly string[];
  /** Where the paths begin, when a reverse proxy gives this portal only a part of a host: like `/vpn`. */
  readonly basePath?: string;
  readonly onLog?: LogSink;
  /** Of this software, for the admin pages. */
  readonly version?: string;
}

/** What the port has to do with. */
export interface PortalLoad {
  /** Connections that are no device's, now. */
  readonly strangers: number;
  /** WebSockets, now. */
  readonly sockets: number;
  readonly counters: ReadonlyMap<string, number>;
}

export interface PortalServer extends Portal {
  /** Base URL for devices, such as `ws://127.0.0.1:8443`. */
  readonly url: string;
  readonly port: number;
  /** Base URL for a gateway in this process; undefined when it was not asked for. */
  readonly loopbackUrl: string | undefined;
  /** Why nobody is served at the moment, if so: the state can't be written. */
  readonly suspended: string | undefined;
  readonly load: PortalLoad;
  readonly administration: Administration;
  /** Reads the policy file again, or takes the given policy. @throws PolicyError; then the old one stays in force */
  reload(policy?: PortalPolicy): PolicyDiff;
  /** Reads the certificate's files again. A pair that can't be used is logged and changes nothing. */
  reloadCertificate(): void;
  setRelays(relays: readonly RelayPolicy[]): void;
  stop(): Promise<void>;
}

/** @throws PolicyError, or what opening the state, the certificate or the port throws */
export async function startPortal(options: PortalServerOptions): Promise<PortalServer> {
  const server = new Server(options);
  try {
    await server.listen();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class Server implements PortalServer {
  readonly #options: PortalServerOptions;
  readonly #basePath: string;
  readonly #log: LogSink;
  readonly #proxies: TrustedProxies;
  readonly #certificate: Certificate | undefined;
  readonly #store: Store | undefined;
  readonly #runner: CoreRunner;
  readonly #core: PortalCore;
  readonly #limits = new LoginLimits();
  readonly #counters = new Counters();
  readonly #admitted = this.#counters.register("portal_logins_admitted");
  readonly #refused = this.#counters.register("portal_logins_refused");
  readonly #postponed = this.#counters.register("portal_logins_postponed");
  readonly #table = new ConnectionTable(CONNECTIONS, this.#counters);
  readonly #listeners: HttpListener[] = [];
  readonly #keeper: PolicyKeeper;
  readonly #administrator: Administrator;
  readonly #live = new LiveState();
  #observation: ReturnType<typeof setInterval> | undefined;
  #stopped = false;

  constructor(options: PortalServerOptions) {
    this.#options = options;
    this.#basePath = (options.basePath ?? "").replace(/\/+$/, "");
    this.#log = (level, text) => {
      if (level === "warning") this.#live.handleProblem(text, this.unixNow());
      options.onLog?.(level, text);
    };
    this.#proxies = new TrustedProxies(options.trustedProxies ?? []);
    this.#certificate = options.tls && new Certificate(options.tls, {
      onChange: (pair) => this.#listeners[0]?.setCertificate(pair),
      onLog: this.#log,
    });
    this.#store = options.statePath === undefined ? undefined : new Store(options.statePath);
    try {
      this.#keeper = new PolicyKeeper(options.policy, this.#store?.objects() ?? []);
    } catch (error) {
      this.#store?.close();
      throw error;
    }
    this.#core = new PortalCore({
      policy: this.policy,
      relays: options.relays,
      stored: this.#store?.load(),
      random,
      unixNow: () => this.unixNow(),
      now: performance.now(),
    });
    this.#runner = new CoreRunner({ core: this.#core, store: this.#store, log: this.#log });
    this.#administrator = new Administrator({
      portal: this,
      keeper: this.#keeper,
      store: this.#store,
      run: (work) => this.#runner.run(work),
    });
  }

  async listen(): Promise<void> {
    const sessions = new BrowserSessions({
      policy: () => this.policy,
      unixNow: () => this.unixNow(),
      random,
    });
    const app = portalRoutes(this, {
      basePath: this.#basePath,
      proxies: this.#proxies,
      sessions,
      random,
      log: this.#log,
      suspended: () => this.#runner.suspended,
      live: this.#live,
      version: this.#options.version,
    });
    const handlers = {
      request: (request: Request, remote: Remote) => app.fetch(request, remote),
      upgrade: (request: Request, remote: Remote) => this.#upgrade(request, remote),
      failed: (error: unknown) => this.#log("warning", `A request failed: ${error}`),
    };
    const open = async (listen: Pick<ListenerOptions, "hostname" | "port" | "tls">) => {
      const shared = { table: this.#table, proxies: this.#proxies };
      this.#listeners.push(await HttpListener.open({ ...listen, ...shared }, handlers));
    };
    await open({ ...this.#options.listen, tls: this.#certificate?.pair });
    if (this.#options.loopback) await open({ hostname: "127.0.0.1", port: 0, tls: undefined });
    this.#certificate?.watch();
    this.#warnOfPlainText();
    this.#runner.run(() => {});
    this.#observation = setInterval(() => this.#live.observe(this.reports()), REPORT_INTERVAL_SECS * 1000);
  }

  get port(): number {
    return this.#listeners[0]!.port;
  }

  get url(): string {
    const { hostname } = this.#options.listen;
    const host = hostname.includes(":") ? `[${hostname}]` : hostname;
    return `${this.#certificate ? "wss" : "ws"}://${host}:${this.port}${this.#basePath}`;
  }

  get loopbackUrl(): string | undefined {
    const listener = this.#listeners[1];
    return listener && `ws://127.0.0.1:${listener.port}${this.#basePath}`;
  }

  get suspended(): string | undefined {
    return this.#runner.suspended?.message;
  }

  get load(): PortalLoad {
    const { names, values } = this.#counters;
    const counters = new Map(names.map((name, index) => [name, values[index]!]));
    return { strangers: this.#table.pending, sockets: this.#table.sockets, counters };
  }

  get administration(): Administration {
    return this.#administrator;
  }

  get policy(): PortalPolicy {
    return this.#keeper.policy;
  }

  unixNow(): number {
    return Math.floor(Date.now() / 1000);
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

  addToken(token: string, of: Pick<TokenRecord, "role" | "owner" | "providerId" | "expiresAt">): TokenRecord {
    const createdAt = this.unixNow();
    const record = { ...of, id: crypto.randomUUID(), hash: hashToken(token), createdAt };
    this.#runner.run((core) => core.addToken(record));
    return record;
  }

  revokeToken(id: Id): boolean {
    return this.#runner.run((core) => core.revokeToken(id));
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
    return this.#runner.run((core) => core.verify(clientId, verified));
  }

  disconnect(deviceId: Id): boolean {
    return this.#runner.run((core, now) => core.disconnect(deviceId, now));
  }

  reload(policy?: PortalPolicy): PolicyDiff {
    return policy === undefined ? this.#administrator.reload() : this.#administrator.usePolicy(policy);
  }

  reloadCertificate(): void {
    this.#certificate?.reload();
  }

  setRelays(relays: readonly RelayPolicy[]): void {
    this.#runner.run((core) => core.setRelays(relays));
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#observation);
    this.#certificate?.stop();
    this.#runner.stop();
    await Promise.all(this.#listeners.map((listener) => listener.close(STOP_TIMEOUT)));
    this.#store?.close();
  }

  #upgrade(request: Request, remote: Remote): UpgradeAnswer | Response {
    const peer = this.#proxies.peer(request.headers, remote);
    const attempt = loginAttempt(request, this.#basePath, peer);
    if (!attempt) return new Response("There is nothing here.", { status: 404 });
    if (this.#stopped || this.#runner.suspended) return this.#postpone("Try again later.", BUSY_SECONDS);
    const source = sourceOf(peer.ip), now = performance.now() / 1000;
    const admission = this.#core.admit(attempt);
    if (isProblem(admission)) return this.#refuse(attempt, admission, source, now);
    const externalId = admission.role === "relay" ? admission.name : admission.externalId;
    const wait = this.#limits.admitted(admission.tokenHash, externalId, now);
    if (wait > 0) return this.#postpone("This device comes too often.", wait);
    const release = this.#table.open(source);
    if (!release) return this.#postpone("There are too many connections.", BUSY_SECONDS);
    try {
      const id = this.#runner.run((core, now) => core.handleOpen(admission, now));
      if (typeof id === "number") return this.#welcome(id, release);
      release();
      return this.#refuse(attempt, id, source, now);
    } catch {
      // It could not be stored, which is logged.
      release();
      return this.#postpone("Try again later.", BUSY_SECONDS);
    }
  }

  #welcome(id: number, release: () => void): UpgradeAnswer {
    return {
      accept: (socket: WebSocket) => {
        this.#counters.add(this.#admitted);
        socket.once("close", release);
        this.#runner.open(id, socket);
      },
      abandon: () => {
        release();
        this.#runner.abandon(id);
      },
    };
  }

  #warnOfPlainText(): void {
    const { listen: { hostname }, trustedProxies = [] } = this.#options;
    if (this.#certificate || trustedProxies.length > 0 || isLoopback(hostname)) return;
    const risk = "Tokens and passwords can be read on their way here: the portal listens without TLS.";
    this.#log("warning", `${risk} Give it a certificate, or put a proxy in front and name it as trusted.`);
  }

  #postpone(detail: string, seconds: number): Response {
    this.#counters.add(this.#postponed);
    return refusal(temporary(detail), seconds);
  }

  /** Says why, as often as somebody honest would ask; then only to come back later. */
  #refuse({ role }: LoginAttempt, problem: Problem, source: string, now: number): Response {
    const wait = this.#limits.refused(source, now);
    if (wait > 0) return this.#postpone("Too many attempts.", wait);
    this.#counters.add(this.#refused);
    if (!this.#limits.isWorthALine(now)) return refusal(problem);
    this.#log("warning", `Refused a ${role}: ${problem.status} ${problem.code}, ${problem.detail}`);
    return refusal(problem);
  }
}

function random(length: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(length));
}
