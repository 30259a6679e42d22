/** Drives a DNS state machine: its exchanges on real sockets, its timeouts on the clock. */
import type { SocketAddress } from "../../packet/address.ts";
import type { ExchangeCommand } from "../upstream.ts";
import { Exchanges } from "./exchanges.ts";

/** The part of a state machine that is the driver's business. */
export interface Driven {
  handleAnswer(exchange: number, from: SocketAddress, bytes: Uint8Array, now: number): void;
  handleFailure(exchange: number, now: number): void;
  handleTimeout(now: number): void;
  pollTimeout(): number | undefined;
  pollCommand(): ExchangeCommand | undefined;
}

/** Monotonic milliseconds. */
export function monotonicNow(): number {
  return performance.now();
}

export class Driver {
  readonly #machine: Driven;
  readonly #onProgress: () => void;
  readonly #exchanges: Exchanges;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** @param onProgress called after every input: take what the machine has to say. */
  constructor(machine: Driven, onProgress: () => void) {
    this.#machine = machine;
    this.#onProgress = onProgress;
    this.#exchanges = new Exchanges({
      onAnswer: (exchange, from, bytes) =>
        this.input((now) => machine.handleAnswer(exchange, from, bytes, now)),
      onFailure: (exchange) => this.input((now) => machine.handleFailure(exchange, now)),
    });
    this.input(() => {});
  }

  /** Gives the machine something and does what follows. */
  input<Result>(give: (now: number) => Result): Result {
    const result = give(monotonicNow());
    if (!this.#isClosed) this.#follow();
    return result;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#exchanges.closeAll();
  }

  #follow(): void {
    for (let command = this.#machine.pollCommand(); command; command = this.#machine.pollCommand()) {
      this.#exchanges.handle(command);
    }
    this.#onProgress();
    clearTimeout(this.#timer);
    const due = this.#machine.pollTimeout();
    if (due === undefined) return;
    const delay = Math.max(0, due - monotonicNow());
    this.#timer = setTimeout(() => this.input((now) => this.#machine.handleTimeout(now)), delay);
  }
}
