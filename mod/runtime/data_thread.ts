/**
 * The data thread: makes the devices and the core, runs the loop, and ends with a goodbye.
 *
 * Everything that packets touch lives here, in one thread: order is kept by construction, and the state (sessions,
 * filters, NAT) is plain single-threaded data (design §1). A worker's entry calls {@link serveDataThread} with its
 * composition and does nothing else.
 */
import { type Composition, createCore, type RunningCore } from "./core.ts";
import { DataLoop } from "./data_loop.ts";
import { type FromData, Mailbox, type StartMessage, type ToData } from "./messages.ts";
import { EventFd } from "../../ffi/poll.ts";

interface WorkerScope {
  onmessage: ((event: MessageEvent<ToData>) => void) | null;
  postMessage(message: FromData): void;
  close(): void;
}

/** Serves as the data thread of this composition until a "stop" message or a fatal error. */
export function serveDataThread(composition: Composition): void {
  new DataThread(composition, self as unknown as WorkerScope).listen();
}

class DataThread {
  readonly #composition: Composition;
  readonly #scope: WorkerScope;
  #mailbox: Mailbox | undefined;
  #running: RunningCore | undefined;
  #loop: DataLoop | undefined;

  constructor(composition: Composition, scope: WorkerScope) {
    this.#composition = composition;
    this.#scope = scope;
  }

  listen(): void {
    this.#scope.onmessage = ({ data }) => {
      if (data.type === "start") this.#start(data);
      else if (this.#running) this.#handle(data, this.#running);
      this.#mailbox?.noteReceived();
    };
  }

  #start(options: StartMessage): void {
    try {
      this.#mailbox = new Mailbox(options.mailbox);
      const running = createCore(this.#composition, options, (message) => this.#scope.postMessage(message));
      this.#running = running;
      this.#loop = new DataLoop({
        ...running,
        wake: EventFd.attach(options.wakeFd),
        now: () => performance.now(),
        onWake: () => this.#receiveMessages(),
        onRound: () => running.report(),
        onError: (error) => this.#complain("Report this bug: packets were lost", error),
      });
      this.#scope.postMessage(running.started);
      this.#guard("the rehearsal", () => running.rehearse());
      this.#loop.run().then(() => this.#finish(), (error) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Lets the event loop deliver everything that was posted before the wake-up. */
  async #receiveMessages(): Promise<void> {
    while (this.#mailbox!.isWaiting) await new Promise((resolve) => setTimeout(resolve, 0));
  }

  #handle(message: ToData, running: RunningCore): void {
    if (message.type === "portal") {
      const { event } = message;
      this.#guard(`a portal message (${event.type})`, () => running.handlePortal(event, performance.now()));
    } else if (message.type === "names") {
      const { reply } = message;
      this.#guard(`news of a name (${reply.type})`, () => running.handleNames(reply, performance.now()));
    } else if (message.type === "status") {
      this.#scope.postMessage({ type: "status", id: message.id, status: running.status() });
    } else if (message.type === "stop") this.#loop?.stop();
  }

  /** A message that we can't digest costs that message only. */
  #guard(what: string, handle: () => void): void {
    try {
      handle();
    } catch (error) {
      this.#complain(`Report this bug: ${what} was lost`, error);
    }
  }

  #complain(message: string, error: unknown): void {
    const reason = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#scope.postMessage({ type: "log", level: "error", message, fields: { reason } });
  }

  #finish(): void {
    this.#running?.core.shutdown(performance.now());
    this.#loop?.flushControl();
    this.#running?.reportEnd();
    this.#running?.close();
    this.#scope.postMessage({ type: "stopped" });
    this.#scope.close();
  }

  #fail(error: unknown): void {
    this.#scope.postMessage({
      type: "failed",
      reason: error instanceof Error ? error.message : String(error),
    });
    this.#running?.close();
    this.#scope.close();
  }
}
