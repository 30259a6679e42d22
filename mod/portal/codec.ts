/** What a session needs to know about a role and dialect; implemented in `schema/`. */
import type { Signal } from "./candidate_outbox.ts";
import type { Decoded } from "./schema/issues.ts";

export interface Codec<Event, Command> {
  readonly topic: string;
  /** What the role says when it joins; nothing when absent. */
  readonly joinPayload?: unknown;
  decode(event: string, payload: unknown): Decoded<Event>;
  encode(command: Command): { readonly event: string; readonly payload: unknown };
  /** The candidates of a command that carries some. */
  signalOf(command: Command): Signal | undefined;
  commandOf(signal: Signal): Command;
  /** The authorization that an event carries, which has to be confirmed before candidates leave. */
  unconfirmed(event: Event): { readonly peerId: string; readonly ref: string } | undefined;
  /** The ref that a command confirms. */
  confirmed(command: Command): string | undefined;
}
