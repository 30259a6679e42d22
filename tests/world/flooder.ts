/** A stranger in the simulated internet who sends the same few messages over and over. */
import type { SocketAddress } from "../../mod/packet/address.ts";
import { AttributeType, encodeStun, Method, shortTermKey } from "../../mod/stun/mod.ts";
import { twinInitiate } from "../wireguard/twin.ts";
import type { Machine, Outgoing } from "./machine.ts";
import type { Random } from "./random.ts";

const TICK = 2;

export class Flooder implements Machine {
  sent = 0;
  /** What came back: cookies. */
  answers = 0;
  #isStopped = false;
  #nextAt = 0;
  readonly #outgoing: Outgoing[] = [];

  /** @param rate messages a second. */
  constructor(
    readonly messages: readonly Uint8Array[],
    readonly target: SocketAddress,
    readonly rate: number,
  ) {}

  stop(): void {
    this.#isStopped = true;
  }

  handleDatagram(): void {
    this.answers++;
  }

  handleTimeout(now: number): void {
    if (this.#isStopped || now < this.#nextAt) return;
    this.#nextAt = now + TICK;
    for (let i = 0; i < this.rate * TICK / 1_000; i++) {
      this.#outgoing.push({ dst: this.target, payload: this.messages[this.sent++ % this.messages.length]! });
    }
  }

  pollTimeout(): number | undefined {
    return this.#isStopped ? undefined : this.#nextAt;
  }

  pollTransmit(): Outgoing | undefined {
    return this.#outgoing.shift();
  }
}

/** Connectivity checks for users whom nobody knows. */
export function strangersChecks(random: Random, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    encodeStun({
      class: "request",
      method: Method.BINDING,
      transactionId: random.bytes(12),
      attributes: [[AttributeType.USERNAME, `${1000 + i}:stranger`], [AttributeType.PRIORITY, 1]],
      integrityKey: shortTermKey("no password of anybody"),
      fingerprint: true,
    }));
}

/** Handshakes by keys that nobody knows, with a right mac1. */
export function strangersInitiations(random: Random, gatewayKey: Uint8Array, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) =>
    twinInitiate({
      staticPrivate: random.bytes(32),
      peerPublic: gatewayKey,
      psk: new Uint8Array(32),
      ephemeralPrivate: random.bytes(32),
      timestamp: random.bytes(12),
      index,
    }).message);
}
