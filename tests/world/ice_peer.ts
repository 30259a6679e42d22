/**
 * One end of an ICE connection without WireGuard: the agent, and an allocation on a relay for its candidates. Enough
 * of a node to send texts to the other end over the path that ICE chose.
 */
import {
  type Candidate,
  formatCandidate,
  hostCandidate,
  IceAgent,
  type IceCredentials,
  type IceEvent,
  type IceTiming,
  matchesRemoval,
  optimisticCandidates,
  parseCandidate,
  relayCandidate,
  serverReflexiveCandidate,
} from "../../mod/ice/mod.ts";
import type { SocketAddress } from "../../mod/packet/address.ts";
import type { Transmit } from "../../mod/packet/transmit.ts";
import { decodeChannelData, decodeStun, encodeChannelData } from "../../mod/stun/mod.ts";
import { Allocation } from "../../mod/turn/mod.ts";
import type { Datagram } from "./datagram.ts";
import type { Machine } from "./machine.ts";
import type { Random } from "./random.ts";
import type { RelayMachine } from "./relay.ts";

/** What the ends tell each other through the portal. */
export interface Signal {
  readonly added?: string;
  readonly removed?: string;
}

export interface IcePeerOptions {
  readonly name: string;
  readonly controlling: boolean;
  readonly local: IceCredentials;
  readonly remote: IceCredentials;
  readonly timing: IceTiming;
  readonly random: Random;
  readonly relay?: RelayMachine | undefined;
  readonly signal: (signal: Signal) => void;
  readonly now: number;
}

export class IcePeer implements Machine {
  readonly agent: IceAgent;
  readonly events: (IceEvent & { readonly at: number })[] = [];
  /** Texts from the other end, with the address they came from. */
  readonly received: { readonly text: string; readonly from: string; readonly at: number }[] = [];
  readonly #options: IcePeerOptions;
  readonly #transmits: Transmit[] = [];
  #allocation: Allocation | undefined;
  #now: number;

  constructor(options: IcePeerOptions) {
    this.#options = options;
    this.#now = options.now;
    this.agent = new IceAgent({ ...options, random: options.random.bytes });
    this.#allocate(options.now);
  }

  get isConnected(): boolean {
    return this.agent.state === "connected" || this.agent.state === "completed";
  }

  /** `direct`, or `relayed` when either end of the selected path is on a relay. */
  get path(): "direct" | "relayed" | undefined {
    const { selected } = this.agent;
    if (!selected) return undefined;
    return selected.local.kind === "relay" || selected.remote.kind === "relay" ? "relayed" : "direct";
  }

  /** From the portal. */
  handleSignal({ added, removed }: Signal, now: number): void {
    this.#now = now;
    const candidate = parseCandidate(added ?? removed ?? "");
    if (!candidate) throw new Error(`${this.#options.name} got an unreadable candidate: ${added ?? removed}`);
    if (removed !== undefined) return this.agent.removeRemoteCandidate(candidate, now);
    this.agent.addRemoteCandidate(candidate, now);
    for (const guess of optimisticCandidates(this.agent.remoteCandidates)) {
      this.agent.addRemoteCandidate(guess, now);
    }
    if (candidate.kind !== "host") this.#allocation?.bind(candidate.address, now);
  }

  /** Sends `text` over the selected path; lost when there is none. */
  send(text: string, now: number): void {
    const { selected } = this.agent;
    if (selected) {
      this.#route(selected.source, selected.destination, new TextEncoder().encode(`=${text}`), now);
    }
  }

  /** The host has other addresses now: the old ones are of no use, the relay must get to know the new ones. */
  roam(now: number): void {
    this.#now = now;
    for (const candidate of this.agent.localCandidates) this.#withdraw(candidate);
    this.#allocate(now);
  }

  handleDatagram({ source, destination, payload }: Datagram, now: number): void {
    this.#now = now;
    if (!this.#allocation?.matches(source)) return this.#handlePayload(payload, source, destination);
    const data = decodeChannelData(payload);
    if (!data) {
      this.#allocation.handleDatagram(source, destination, payload, now);
      return this.#drainAllocation();
    }
    const peer = this.#allocation.peerOf(data.channel, now);
    const relayed = peer && this.#allocation.relayedAddress(peer.family);
    if (peer && relayed) this.#handlePayload(data.payload, peer, relayed);
  }

  handleTimeout(now: number): void {
    this.#now = now;
    this.#allocation?.handleTimeout(now);
    this.#drainAllocation();
    this.agent.handleTimeout(now);
    this.#drainAgent();
  }

  pollTimeout(): number | undefined {
    const next = Math.min(this.agent.pollTimeout() ?? Infinity, this.#allocation?.pollTimeout() ?? Infinity);
    return next === Infinity ? undefined : next;
  }

  pollTransmit(): Transmit | undefined {
    this.#drainAgent();
    this.#drainAllocation();
    return this.#transmits.shift();
  }

  #handlePayload(payload: Uint8Array, source: SocketAddress, destination: SocketAddress): void {
    const message = decodeStun(payload);
    if (message) {
      this.agent.handleStun(message, source, destination, this.#now);
      this.#drainAgent();
    } else if (payload[0] === "=".charCodeAt(0)) {
      const text = new TextDecoder().decode(payload.subarray(1));
      this.received.push({ text, from: source.key, at: this.#now });
    }
  }

  #allocate(now: number): void {
    const { relay, name, random } = this.#options;
    if (!relay) return;
    this.#allocation = new Allocation({
      relayId: "relay",
      addresses: relay.addresses,
      ...relay.credentialsFor(name),
      realm: "firezone",
      software: "world",
      random: random.bytes,
      now,
    });
    this.#drainAllocation();
  }

  #offer(candidate: Candidate): void {
    const adopted = this.agent.addLocalCandidate(candidate);
    if (adopted) this.#options.signal({ added: formatCandidate(adopted, this.#options.local.ufrag) });
  }

  #withdraw(candidate: Candidate): void {
    const adopted = this.agent.removeLocalCandidate(candidate);
    if (adopted) this.#options.signal({ removed: formatCandidate(adopted) });
  }

  #drainAgent(): void {
    for (let event = this.agent.pollEvent(); event; event = this.agent.pollEvent()) {
      this.events.push({ ...event, at: this.#now });
    }
    for (let sent = this.agent.pollTransmit(); sent; sent = this.agent.pollTransmit()) {
      this.#route(sent.src, sent.dst, sent.payload, this.#now);
    }
  }

  #drainAllocation(): void {
    const allocation = this.#allocation;
    if (!allocation) return;
    for (let event = allocation.pollEvent(); event; event = allocation.pollEvent()) {
      switch (event.type) {
        case "host":
          this.#offer(hostCandidate(event.address));
          break;
        case "server-reflexive":
          this.#offer(hostCandidate(event.base));
          this.#offer(serverReflexiveCandidate(event.address, event.base));
          break;
        case "relayed":
          this.#offer(relayCandidate(event.address, allocation.activeSocket?.family ?? event.address.family));
          break;
        case "invalidated":
          for (const address of event.addresses) {
            const lost = this.agent.localCandidates.find((known) =>
              matchesRemoval(known, relayCandidate(address, address.family))
            );
            if (lost) this.#withdraw(lost);
          }
      }
    }
    for (let sent = allocation.pollTransmit(); sent; sent = allocation.pollTransmit()) {
      this.#transmits.push(sent);
    }
  }

  /** Through the relay when `base` is our address there, else straight. */
  #route(base: SocketAddress, remote: SocketAddress, payload: Uint8Array, now: number): void {
    const allocation = this.#allocation;
    if (!allocation?.relayedAddress(base.family)?.equals(base)) {
      this.#transmits.push({ src: base, dst: remote, payload });
      return;
    }
    const channel = allocation.channelTo(remote, now);
    this.#drainAllocation();
    if (channel === 0 || !allocation.activeSocket) return;
    this.#transmits.push({ dst: allocation.activeSocket, payload: encodeChannelData(channel, payload) });
  }
}
