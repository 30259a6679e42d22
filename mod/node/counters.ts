/** What happened to datagrams that carried no packet for us, by reason. */
import type { Counters } from "../packet/counters.ts";
import { OPEN_CLOSED, OPEN_EXHAUSTED, OPEN_FORGED, OPEN_REPLAYED, OPEN_TOO_SHORT } from "../wireguard/mod.ts";

/** By the negative reason of `Session.open`. */
const REFUSALS: readonly (readonly [number, string])[] = [
  [OPEN_TOO_SHORT, "drop_wireguard_too_short"],
  [OPEN_CLOSED, "drop_wireguard_session_closed"],
  [OPEN_EXHAUSTED, "drop_wireguard_session_exhausted"],
  [OPEN_REPLAYED, "drop_wireguard_replayed"],
  [OPEN_FORGED, "drop_wireguard_forged"],
];

export class NodeCounters {
  readonly #counters: Counters;
  readonly #malformed: number;
  readonly #unknownIndex: number;
  readonly #unknownStun: number;
  readonly #unknownChannel: number;
  /** By -reason. */
  readonly #refused: readonly number[];
  readonly #limited: number;
  readonly #notConnected: number;
  readonly #noSession: number;
  readonly #noChannel: number;
  readonly #badCandidates: number;
  readonly #floods: number;

  constructor(counters: Counters) {
    this.#counters = counters;
    this.#malformed = counters.register("drop_datagram_malformed");
    this.#unknownIndex = counters.register("drop_wireguard_unknown_index");
    this.#unknownStun = counters.register("drop_stun_unknown_peer");
    this.#unknownChannel = counters.register("drop_channel_unknown");
    const refused: number[] = [];
    for (const [reason, name] of REFUSALS) refused[-reason] = counters.register(name);
    this.#refused = refused;
    this.#limited = counters.register("drop_handshake_limited");
    this.#notConnected = counters.register("drop_packet_not_connected");
    this.#noSession = counters.register("drop_packet_no_session");
    this.#noChannel = counters.register("drop_packet_no_channel");
    this.#badCandidates = counters.register("ignored_candidates_malformed");
    this.#floods = counters.register("floods_screened");
  }

  malformed(): undefined {
    this.#counters.add(this.#malformed);
  }
  unknownIndex(): undefined {
    this.#counters.add(this.#unknownIndex);
  }
  unknownStun(): undefined {
    this.#counters.add(this.#unknownStun);
  }
  unknownChannel(): undefined {
    this.#counters.add(this.#unknownChannel);
  }
  /** @param reason an OPEN_* reason. */
  refused(reason: number): undefined {
    this.#counters.add(this.#refused[-reason]!);
  }
  limited(): undefined {
    this.#counters.add(this.#limited);
  }
  notConnected(): false {
    this.#counters.add(this.#notConnected);
    return false;
  }
  noSession(): false {
    this.#counters.add(this.#noSession);
    return false;
  }
  noChannel(): false {
    this.#counters.add(this.#noChannel);
    return false;
  }
  badCandidates(): void {
    this.#counters.add(this.#badCandidates);
  }
  flood(): void {
    this.#counters.add(this.#floods);
  }
}
