/** What happened in a world: counts, and on demand every event as a line of text. */
import type { Clock } from "./clock.ts";
import type { Datagram } from "./datagram.ts";

export class Trace {
  /** Dropped datagrams by reason. */
  readonly drops = new Map<string, number>();
  delivered = 0;
  /** Set to keep a line for each event. */
  lines: string[] | undefined;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  drop(reason: string, where: string, datagram: Datagram): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
    this.#write(`drop (${reason}) at ${where}`, datagram);
  }

  deliver(where: string, datagram: Datagram): void {
    this.delivered++;
    this.#write(`deliver to ${where}`, datagram);
  }

  note(text: string): void {
    this.lines?.push(`${this.#clock.now.toFixed(3)} ${text}`);
  }

  #write(what: string, { source, destination, payload }: Datagram): void {
    if (!this.lines) return;
    const head = Array.from(payload.subarray(0, 24), (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.note(`${what}: ${source} > ${destination} ${payload.length} ${head}`);
  }
}
