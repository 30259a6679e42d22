/**
 * The control thread of a gateway or client: starts the data thread, holds the portal, sets up the host, logs.
 *
 *   portal ──events──► data thread ──commands──► portal
 *                          │ interface ► host set-up, DNS servers     │ log records ► log
 *                          └ names ► name service ► data thread
 *
 * Order of a start: devices first (a missing permission is said at once and nothing else is touched), then the portal.
 * Order of a stop: the data thread says goodbye to peers, the portal's socket closes, the host set-up is removed.
 */
import { getLogger } from "@logtape/logtape";
import { EventFd } from "../../ffi/poll.ts";
import { Counters } from "../packet/mod.ts";
import type { PortalConnection } from "../portal/io/portal_io.ts";
import type { ClientCommand, ClientEvent, GatewayCommand, GatewayEvent, Relay } from "../portal/types.ts";
import { FLOW_RECORDS_UNWRITTEN, FlowReceipt } from "./flow_outbox.ts";
import { FlowSink, openTarget } from "./flow_sink.ts";
import { type FromData, Mailbox, type StartMessage, type ToData } from "./messages.ts";
import { readinessOf } from "./readiness.ts";
import { logPortalDown, logProxy, type PortalDown } from "./portal_log.ts";
import type {
  NameService,
  OpenNames,
  Readiness,
  Runtime,
  RuntimeOptions,
  RuntimeStatus,
  TunnelHost,
} from "./types.ts";

const STOP_TIMEOUT_MS = 900;
/** For the last flow records, which were posted before the data thread ended. */
const FLOW_TIMEOUT_MS = 300;
const FLOW_WARNING_INTERVAL_MS = 60_000;
const log = getLogger(["postern", "runtime"]);

/** What the portal side of a runtime tells it. */
export interface PortalListener {
  onEvent(event: GatewayEvent | ClientEvent): void;
  onJoined(): void;
  onDown(down: PortalDown): void;
  onFailed(error: Error): void;
  onWarning(text: string): void;
}

/** Opens the portal in the role at hand, once the data thread has made our key. */
export type OpenPortal = (
  options: RuntimeOptions["portal"] & { readonly publicKey: Uint8Array },
  listener: PortalListener,
) => PortalConnection<GatewayCommand | ClientCommand>;

/** Starts the devices and then the portal; rejects with a readable error when the devices can't be made. */
export async function startTunnel(
  worker: Worker,
  openPortal: OpenPortal,
  openNames: OpenNames,
  options: RuntimeOptions,
): Promise<Runtime> {
  let runtime: TunnelRuntime;
  try {
    runtime = new TunnelRuntime(worker, openPortal, openNames, options);
  } catch (error) {
    worker.terminate();
    throw error;
  }
  await runtime.start();
  return runtime;
}

class TunnelRuntime implements Runtime {
  readonly done: Promise<string | undefined>;
  readonly counters: Counters;
  readonly #worker: Worker;
  readonly #openPortal: OpenPortal;
  readonly #options: RuntimeOptions;
  readonly #host: TunnelHost;
  readonly #wake = EventFd.create();
  readonly #mailbox = new Mailbox();
  readonly #buffer = new SharedArrayBuffer(Counters.CAPACITY * 8);
  readonly #statusRequests = new Map<number, PromiseWithResolvers<RuntimeStatus>>();
  readonly #names: NameService;
  #counterNames: readonly string[] = [];
  #flowReceipt: FlowReceipt | undefined;
  #flowSink: FlowSink | undefined;
  #flowWarnedAt = -Infinity;
  #portal: PortalConnection<GatewayCommand | ClientCommand> | undefined;
  #started = Promise.withResolvers<void>();
  #ended = Promise.withResolvers<string | undefined>();
  #stopped = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;
  #dataIsAlive = true;
  #isConfigured = false;
  #relays: { readonly ready: number; readonly trouble: string | undefined } | undefined;
  #portalTrouble = "The portal has not answered yet.";
  #nextStatusId = 0;

  constructor(worker: Worker, openPortal: OpenPortal, openNames: OpenNames, options: RuntimeOptions) {
    this.#worker = worker;
    this.#openPortal = openPortal;
    this.#names = openNames((reply) => this.#tell({ type: "names", reply }));
    this.#options = options;
    this.#host = options.host;
    this.counters = new Counters(this.#buffer);
    this.done = this.#ended.promise;
    worker.onmessage = ({ data }: MessageEvent<FromData>) => this.#handle(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(`The data thread died: ${event.message}. Report this.`);
    };
  }

  async start(): Promise<void> {
    if (this.#options.flowLogs !== undefined) await this.#openFlowSink(this.#options.flowLogs);
    const start: StartMessage = {
      type: "start",
      tunnel: this.#options.tunnel,
      wakeFd: this.#wake.fd,
      counters: this.#buffer,
      mailbox: this.#mailbox.buffer,
      flowReceipt: this.#flowReceipt?.buffer,
    };
    this.#tell(start);
    await this.#started.promise;
  }

  counterNames(): readonly string[] {
    return this.#counterNames;
  }

  get nameCounters(): Counters | undefined {
    return this.#names.counters;
  }

  readiness(): Readiness {
    return readinessOf({
      dataIsAlive: this.#dataIsAlive,
      isConfigured: this.#isConfigured,
      isJoined: this.#portal?.isJoined ?? false,
      portalTrouble: this.#portalTrouble,
      relays: this.#relays,
    });
  }

  status(): Promise<RuntimeStatus> {
    if (!this.#dataIsAlive) {
      return Promise.reject(new Error("Cannot read the status: the data thread has ended."));
    }
    const id = this.#nextStatusId++;
    const request = Promise.withResolvers<RuntimeStatus>();
    this.#statusRequests.set(id, request);
    this.#tell({ type: "status", id });
    return request.promise;
  }

  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #stop(): Promise<void> {
    if (this.#dataIsAlive) {
      this.#tell({ type: "stop" });
      const timeout = setTimeout(() => this.#stopped.resolve(), STOP_TIMEOUT_MS);
      await this.#stopped.promise;
      clearTimeout(timeout);
    }
    await this.#portal?.close();
    this.#names.close();
    this.#host.restore();
    await this.#flowSink?.close(FLOW_TIMEOUT_MS);
    this.#ended.resolve(undefined);
  }

  #tell(message: ToData): void {
    if (!this.#dataIsAlive) return;
    this.#worker.postMessage(message);
    this.#mailbox.notePosted();
    this.#wake.signal();
  }

  #handle(message: FromData): void {
    switch (message.type) {
      case "started":
        return this.#handleStarted(message);
      case "failed":
        this.#handleEnd();
        return this.#fail(message.reason);
      case "portal":
        return this.#portal?.send(message.command);
      case "moved":
        log.info("This host's address has changed; connecting to the portal anew");
        return this.#portal?.reconnect();
      case "relays":
        this.#relays = message;
        return;
      case "network":
        if (!message.doubtful) return this.#portal?.networkChanged();
        log.info("No relay answers since this host's network changed; checking every path");
        return this.#portal?.verify();
      case "interface":
        return this.#configure(message);
      case "names":
        return this.#names.handle(message.request);
      case "log":
        return log[message.level === "warning" ? "warn" : message.level](message.message, {
          ...message.fields,
        });
      case "flows":
        return this.#flowSink?.write(message.lines, message.records);
      case "status":
        this.#statusRequests.get(message.id)?.resolve(message.status);
        this.#statusRequests.delete(message.id);
        return;
      case "stopped":
        return this.#handleEnd();
    }
  }

  async #openFlowSink(destination: string): Promise<void> {
    const receipt = this.#flowReceipt = new FlowReceipt();
    this.#flowSink = new FlowSink(await openTarget(destination), {
      onDone: (records) => receipt.add(records),
      onLost: (records, reason) => this.#loseFlowRecords(records, reason),
    });
  }

  #loseFlowRecords(records: number, reason: string): void {
    const counter = this.#counterNames.indexOf(FLOW_RECORDS_UNWRITTEN);
    if (counter >= 0) this.counters.add(counter, records);
    const now = performance.now();
    if (now < this.#flowWarnedAt + FLOW_WARNING_INTERVAL_MS) return;
    this.#flowWarnedAt = now;
    log.warn("Cannot write flow records; they are lost", { records, reason });
  }

  #handleEnd(): void {
    this.#dataIsAlive = false;
    this.#wake.close();
    for (const request of this.#statusRequests.values()) {
      request.reject(new Error("Cannot read the status: the data thread has ended."));
    }
    this.#statusRequests.clear();
    this.#stopped.resolve();
  }

  #handleStarted({ publicKey, aead, ports, offloads, counterNames }: FromData & { type: "started" }): void {
    this.#counterNames = counterNames;
    log.info("Packet path is up", { aead, ports: ports.join(","), offloads: `0x${offloads.toString(16)}` });
    logProxy(this.#options.portal.proxy);
    try {
      this.#portal = this.#openPortal({ ...this.#options.portal, publicKey }, {
        onEvent: (event) => {
          const { relayPlaces } = this.#options;
          this.#tell({ type: "portal", event: relayPlaces ? withRelays(event, relayPlaces) : event });
        },
        onJoined: () => log.info("Connected to portal"),
        onDown: (down) => {
          this.#portalTrouble = `The portal is out of reach: ${down.reason}`;
          logPortalDown(down);
        },
        onFailed: (error) => this.#fail(error.message),
        onWarning: (text) => log.warn(text),
      });
      this.#started.resolve();
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  #configure({ interface: addresses, networks }: FromData & { type: "interface" }): void {
    try {
      this.#host.configure(addresses, networks);
      log[this.#isConfigured ? "debug" : "info"]("Tunnel interface is up", {
        device: this.#options.tunnel.tunName,
      });
      this.#isConfigured = true;
      this.#names.listen(addresses).catch((error) => this.#fail(error.message));
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  /** A fatal error: ends the runtime tidily and says why. */
  #fail(reason: string): void {
    this.#started.reject(new Error(reason));
    this.#ended.resolve(reason);
    this.stop();
  }
}

/** The event with its relays changed, if it names any. */
function withRelays<Event extends GatewayEvent | ClientEvent>(
  event: Event,
  change: (relay: Relay) => Relay,
): Event {
  if (event.type === "init") {
    return { ...event, init: { ...event.init, relays: event.init.relays.map(change) } };
  }
  if (event.type !== "relays_presence") return event;
  const { presence } = event;
  return { ...event, presence: { ...presence, connected: presence.connected.map(change) } };
}
