/**
 * A device's session with the portal: the channel, the codec of its role and dialect, and the candidate outbox in one
 * sans-IO machine. Domain events come out, domain commands go in; what the owner has to do for the socket comes out of
 * the same `pollEvent()`.
 */
import { CandidateOutbox, type Signal } from "./candidate_outbox.ts";
import { Channel, type ChannelEvent, type ChannelOptions } from "./channel.ts";
import type { Codec } from "./codec.ts";
import type { Refusal } from "./failure.ts";
import { printable } from "./frame.ts";
import { WarningFilter } from "./warning_filter.ts";

export type SessionEvent<Event> =
  | Extract<ChannelEvent, { type: "dial" | "hangup" | "joined" | "down" | "failed" }>
  | { readonly type: "event"; readonly event: Event }
  /** Something in a message could not be used; for the log. The same is not said again within the hour. */
  | { readonly type: "warning"; readonly text: string };

export class PortalSession<Event, Command> {
  readonly #codec: Codec<Event, Command>;
  readonly #channel: Channel;
  readonly #outbox = new CandidateOutbox();
  readonly #events: SessionEvent<Event>[] = [];
  readonly #warnings = new WarningFilter();

  constructor(codec: Codec<Event, Command>, options: Omit<ChannelOptions, "topic" | "joinPayload">) {
    this.#codec = codec;
    this.#channel = new Channel({ ...options, topic: codec.topic, joinPayload: codec.joinPayload });
    this.#drain(options.now);
  }

  get isJoined(): boolean {
    return this.#channel.isJoined;
  }

  get attempt(): number {
    return this.#channel.attempt;
  }

  /**
   * Says something to the portal. While the link is down candidates are kept for later; everything else is dropped,
   * since what it answers is stale by then.
   */
  send(command: Command): void {
    const signal = this.#codec.signalOf(command);
    if (signal) return this.#signal(this.#outbox.push(signal));
    this.#transmit(command);
    const ref = this.#codec.confirmed(command);
    if (ref !== undefined) this.#signal(this.#outbox.confirm(ref));
  }

  handleOpen(now: number): void {
    this.#channel.handleOpen(now);
    this.#drain(now);
  }

  handleRefused(refusal: Refusal, now: number): void {
    this.#channel.handleRefused(refusal, now);
    this.#drain(now);
  }

  /** @param isReached something on the way answered; see {@link Channel.handleDialError}. */
  handleDialError(reason: string, now: number, isReached = false): void {
    this.#channel.handleDialError(reason, now, isReached);
    this.#drain(now);
  }

  handleClosed(reason: string, now: number): void {
    this.#channel.handleClosed(reason, now);
    this.#drain(now);
  }

  handleText(text: string, now: number): void {
    this.#channel.handleText(text, now);
    this.#drain(now);
  }

  handleTimeout(now: number): void {
    this.#channel.handleTimeout(now);
    this.#signal(this.#outbox.handleTimeout(now));
    this.#drain(now);
  }

  pollTimeout(): number | undefined {
    const [a, b] = [this.#channel.pollTimeout(), this.#outbox.pollTimeout()];
    return a === undefined || b === undefined ? a ?? b : Math.min(a, b);
  }

  /** The next text frame for the current socket. */
  pollTransmit(): string | undefined {
    return this.#channel.pollTransmit();
  }

  pollEvent(): SessionEvent<Event> | undefined {
    return this.#events.shift();
  }

  /** See `Channel.move`. */
  reconnect(now: number): void {
    this.#channel.move(now);
    this.#drain(now);
  }

  /** See `Channel.networkChanged`. */
  networkChanged(now: number): void {
    this.#channel.networkChanged(now);
    this.#drain(now);
  }

  /** See `Channel.verify`. */
  verify(now: number): void {
    this.#channel.verify(now);
    this.#drain(now);
  }

  /** Ends the session gracefully. */
  close(now: number): void {
    this.#channel.close();
    this.#drain(now);
  }

  #drain(now: number): void {
    for (let event; (event = this.#channel.pollEvent()) !== undefined;) this.#handle(event, now);
  }

  #handle(event: ChannelEvent, now: number): void {
    switch (event.type) {
      case "joined":
        this.#events.push(event);
        return this.#signal(this.#outbox.open());
      case "hangup":
      case "down":
      case "failed":
        this.#outbox.close();
        this.#events.push(event);
        return;
      case "dial":
        this.#events.push(event);
        return;
      case "message":
        return this.#handleMessage(event.event, event.payload, now);
      case "rejected":
        this.#warn(`The portal rejected ${event.event}: ${event.reason}.`, now);
        if (!this.#channel.isJoined) this.#outbox.close(); // It has to join anew.
        // Older portals don't know the question; they hand out relays only with `init`.
        if (event.event === "no_relays" && event.reason === "unknown_message") this.#channel.reconnect(now);
        return;
      case "ignored":
        return this.#warn(`Ignored from the portal: ${event.reason}.`, now);
    }
  }

  #handleMessage(name: string, payload: unknown, now: number): void {
    const { value, error, skipped } = this.#codec.decode(name, payload);
    for (const item of skipped) this.#warn(item.message, now);
    if (error) return this.#warn(error.message, now);
    if (value === undefined) return;
    const unconfirmed = this.#codec.unconfirmed(value);
    if (unconfirmed) this.#outbox.awaitConfirmation(unconfirmed.peerId, unconfirmed.ref, now);
    this.#events.push({ type: "event", event: value });
  }

  #signal(signals: readonly Signal[]): void {
    for (const signal of signals) this.#transmit(this.#codec.commandOf(signal));
  }

  #transmit(command: Command): void {
    const { event, payload } = this.#codec.encode(command);
    this.#channel.send(event, payload);
  }

  #warn(text: string, now: number): void {
    const warning = this.#warnings.pass(printable(text, 400), now);
    if (warning !== undefined) this.#events.push({ type: "warning", text: warning });
  }
}
