/**
 * Two agents and the wire between them, in virtual time: enough network to test the agent alone.
 * `tests/world/` has the big one.
 *
 * A side owns addresses. A datagram goes to the side that owns its destination, `latency` ms later, unless `blocked`
 * says no. `translate` maps a source on its way out, as a NAT does; a translated address is owned by the same side
 * and leads back to the address it stands for.
 */
import type { SocketAddress } from "../../mod/packet/address.ts";
import { SocketAddress as Address } from "../../mod/packet/address.ts";
import type { RandomBytes } from "../../mod/crypto/types.ts";
import {
  type Candidate,
  CLIENT_ACTIVE,
  GATEWAY_ACTIVE,
  hostCandidate,
  IceAgent,
  type IceAgentOptions,
  type IceEvent,
} from "../../mod/ice/mod.ts";
import { decodeStun, type StunMessage } from "../../mod/stun/mod.ts";

/** The credentials of the spec's vectors (snownet §2.3). */
export const CLIENT_CREDENTIALS = { ufrag: "w7up", password: "ksqwm66pilnb7skdwwfw3r" };
export const GATEWAY_CREDENTIALS = { ufrag: "kwe6", password: "mzkrj52x5h5ebrfdsh5iyq" };

export function address(text: string): SocketAddress {
  const parsed = Address.parse(text);
  if (!parsed) throw new Error(`bad address in a test: ${text}`);
  return parsed;
}

export function host(text: string): Candidate {
  return hostCandidate(address(text));
}

/** Bytes of a small generator; equal seeds give equal bytes. */
export function seededBytes(seed: number): RandomBytes {
  let state = seed >>> 0;
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      bytes[i] = state >>> 24;
    }
    return bytes;
  };
}

export interface Datagram {
  readonly at: number;
  readonly from: Side;
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
  readonly payload: Uint8Array;
}

export class Side {
  readonly events: (IceEvent & { readonly at: number })[] = [];
  /** Everything that the agent sent. */
  readonly sent: {
    readonly at: number;
    readonly source: string;
    readonly destination: string;
    readonly message: StunMessage;
  }[] = [];
  /** Address on the wire → address of the agent. */
  readonly owned = new Map<string, SocketAddress>();

  constructor(readonly name: string, readonly agent: IceAgent) {}

  /** Listens on `address`, seen by others as `seenAs`. */
  own(address: SocketAddress, seenAs: SocketAddress = address): void {
    this.owned.set(seenAs.key, address);
  }

  get path(): string | undefined {
    const { selected } = this.agent;
    return selected && `${selected.source} > ${selected.destination}`;
  }

  states(): string[] {
    return this.events.flatMap((event) => (event.type === "state" ? [event.state] : []));
  }

  nominations(): string[] {
    return this.events.flatMap((
      event,
    ) => (event.type === "nominated" ? [`${event.source} > ${event.destination}`] : []));
  }

  /** Times of the checks sent from `source` to `destination`. */
  checkTimes(source: string, destination: string): number[] {
    return this.sent
      .filter((sent) =>
        sent.message.class === "request" && sent.source === source && sent.destination === destination
      )
      .map((sent) => sent.at);
  }
}

export interface DuoOptions {
  readonly client?: Partial<IceAgentOptions>;
  readonly gateway?: Partial<IceAgentOptions>;
  readonly start?: number;
  readonly latency?: number;
}

export class Duo {
  now: number;
  latency: number;
  blocked: (datagram: Datagram) => boolean = () => false;
  translate: (from: Side, source: SocketAddress, destination: SocketAddress) => SocketAddress = (_, source) =>
    source;
  readonly client: Side;
  readonly gateway: Side;
  #wire: Datagram[] = [];

  constructor({ client, gateway, start = 1_000, latency = 10 }: DuoOptions = {}) {
    this.now = start;
    this.latency = latency;
    this.client = new Side(
      "client",
      new IceAgent({
        controlling: true,
        local: CLIENT_CREDENTIALS,
        remote: GATEWAY_CREDENTIALS,
        timing: CLIENT_ACTIVE,
        random: seededBytes(1),
        now: start,
        ...client,
      }),
    );
    this.gateway = new Side(
      "gateway",
      new IceAgent({
        controlling: false,
        local: GATEWAY_CREDENTIALS,
        remote: CLIENT_CREDENTIALS,
        timing: GATEWAY_ACTIVE,
        random: seededBytes(2),
        now: start,
        ...gateway,
      }),
    );
  }

  peerOf(side: Side): Side {
    return side === this.client ? this.gateway : this.client;
  }

  /** Adds a candidate to `side`, listens on its base, and signals it unless told otherwise. */
  add(side: Side, candidate: Candidate, signal = true): Candidate {
    const adopted = side.agent.addLocalCandidate(candidate);
    if (!adopted) throw new Error(`${side.name} did not adopt ${candidate.address}`);
    side.own(candidate.base);
    if (signal) this.peerOf(side).agent.addRemoteCandidate(adopted, this.now);
    return adopted;
  }

  /** The usual start: one host candidate on each side. */
  addHosts(client = "10.0.0.1:1000", gateway = "10.0.0.2:2000"): this {
    this.add(this.client, host(client));
    this.add(this.gateway, host(gateway));
    return this;
  }

  run(ms: number): this {
    this.runUntil(() => false, ms);
    return this;
  }

  /** True as soon as `condition` holds; false after `limit` ms. */
  runUntil(condition: () => boolean, limit = 30_000): boolean {
    const end = this.now + limit;
    for (;;) {
      this.#settle();
      if (condition()) return true;
      const next = Math.min(
        this.client.agent.pollTimeout() ?? Infinity,
        this.gateway.agent.pollTimeout() ?? Infinity,
        ...this.#wire.map((datagram) => datagram.at),
      );
      if (next > end) {
        this.now = end;
        return false;
      }
      if (next <= this.now) throw new Error(`the clock stands still at ${this.now}`);
      this.now = next;
    }
  }

  /** Does all that is due now. */
  #settle(): void {
    for (let round = 0; round < 1000; round++) {
      let busy = false;
      const due = this.#wire.filter((datagram) => datagram.at <= this.now);
      this.#wire = this.#wire.filter((datagram) => datagram.at > this.now);
      for (const datagram of due) busy = this.#deliver(datagram) || busy;
      for (const side of [this.client, this.gateway]) {
        const timeout = side.agent.pollTimeout();
        if (timeout !== undefined && timeout <= this.now) {
          side.agent.handleTimeout(this.now);
          busy = true;
        }
        busy = this.#drain(side) || busy;
      }
      if (!busy) return;
    }
    throw new Error(`an agent never becomes idle at ${this.now}`);
  }

  #deliver(datagram: Datagram): boolean {
    const receiver = this.peerOf(datagram.from);
    const destination = receiver.owned.get(datagram.destination.key);
    const message = decodeStun(datagram.payload);
    if (!destination || !message || !receiver.agent.accepts(message)) return false;
    receiver.agent.handleStun(message, datagram.source, destination, this.now);
    receiver.agent.handleTimeout(this.now);
    return true;
  }

  #drain(side: Side): boolean {
    let busy = false;
    for (let sent = side.agent.pollTransmit(); sent; sent = side.agent.pollTransmit()) {
      busy = true;
      side.sent.push({
        at: this.now,
        source: sent.src.key,
        destination: sent.dst.key,
        message: decodeStun(sent.payload)!,
      });
      const source = this.translate(side, sent.src, sent.dst);
      const datagram = {
        at: this.now + this.latency,
        from: side,
        source,
        destination: sent.dst,
        payload: sent.payload,
      };
      if (!this.blocked(datagram)) this.#wire.push(datagram);
    }
    for (let event = side.agent.pollEvent(); event; event = side.agent.pollEvent()) {
      side.events.push({ ...event, at: this.now });
    }
    return busy;
  }
}
