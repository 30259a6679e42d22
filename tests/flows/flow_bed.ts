/** A flow tracker with packets to show it, on a clock of its own. */
import { Counters } from "../../mod/packet/counters.ts";
import { IpHeader, PARSE_OK } from "../../mod/packet/ip_header.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { type FlowAbout, type FlowRecord, FlowTracker } from "../../mod/flows/mod.ts";
import { tcp, udp } from "../policy/packets.ts";

export const UNIX_START = Date.UTC(2026, 0, 2, 3, 4, 5);
export const ABOUT: FlowAbout = {
  clientId: "11111111-1111-4111-8111-111111111111",
  resourceId: "44444444-4444-4444-8444-444444444444",
  resourceName: "LAN",
  domain: undefined,
};
/** One end of a connection, as the resource sees it. */
export interface Pair {
  readonly client: string;
  readonly clientPort: number;
  readonly remote: string;
  readonly remotePort: number;
}
export const PAIR: Pair = { client: "100.64.0.5", clientPort: 40000, remote: "10.0.0.9", remotePort: 443 };

export class FlowBed {
  now = 500;
  readonly counters = new Counters(new ArrayBuffer(Counters.CAPACITY * 8));
  readonly tracker: FlowTracker;
  readonly #slab = new Slab(1 << 16);
  readonly #at = this.#slab.reserve(8192);
  readonly #header = new IpHeader();

  constructor(capacity = 64) {
    this.tracker = new FlowTracker({
      slab: this.#slab,
      counters: this.counters,
      unixNow: () => UNIX_START + this.now,
      seed: 99,
      capacity,
    });
  }

  /** The client's packet, let through by the policy. */
  sendTcp(flags: number, payload = 0, pair = PAIR, about = ABOUT): void {
    const { client, clientPort, remote, remotePort } = pair;
    this.#sent(tcp(client, clientPort, remote, remotePort, flags, "x".repeat(payload)), about);
  }

  sendUdp(payload: number, pair = PAIR, about = ABOUT): void {
    const { client, clientPort, remote, remotePort } = pair;
    this.#sent(udp(client, clientPort, remote, remotePort, "x".repeat(payload)), about);
  }

  answerTcp(flags: number, payload = 0, pair = PAIR, segments = 1): boolean {
    const { client, clientPort, remote, remotePort } = pair;
    return this.#answered(tcp(remote, remotePort, client, clientPort, flags, "x".repeat(payload)), segments);
  }

  answerUdp(payload: number, pair = PAIR): boolean {
    const { client, clientPort, remote, remotePort } = pair;
    return this.#answered(udp(remote, remotePort, client, clientPort, "x".repeat(payload)), 1);
  }

  /** Lets time pass tick by tick. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (let due = this.tracker.pollTimeout(); due !== undefined && due <= end;) {
      this.now = Math.max(this.now, due);
      this.tracker.handleTimeout(this.now);
      due = this.tracker.pollTimeout();
    }
    this.now = end;
  }

  /** Everything that is told by the next tick. */
  records(): FlowRecord[] {
    this.advance(1000);
    const all: FlowRecord[] = [];
    for (let batch = this.tracker.pollRecords(); batch; batch = this.tracker.pollRecords()) {
      all.push(...batch);
    }
    return all;
  }

  place(packet: Uint8Array): IpHeader {
    this.#slab.bytes.set(packet, this.#at);
    if (this.#header.parse(this.#slab.bytes, this.#at, packet.length) !== PARSE_OK) {
      throw new Error("Malformed.");
    }
    return this.#header;
  }

  #sent(packet: Uint8Array, about: FlowAbout): void {
    const header = this.place(packet);
    if (!this.tracker.sent(header, about.clientId, about.resourceId, this.now)) {
      this.tracker.start(header, about, this.now);
    }
  }

  #answered(packet: Uint8Array, segments: number): boolean {
    const header = this.place(packet);
    const flow = this.tracker.find(header);
    if (flow >= 0) this.tracker.answered(flow, header, segments, this.now);
    return flow >= 0;
  }
}
