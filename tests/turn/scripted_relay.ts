/** An allocation with a relay that says what the test tells it to, on a virtual clock. */
import { SocketAddress } from "../../mod/packet/address.ts";
import type { Transmit } from "../../mod/packet/transmit.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  longTermKey,
  Method,
  type StunAttribute,
  type StunMessage,
} from "../../mod/stun/mod.ts";
import { Allocation, type AllocationEvent, type AllocationOptions } from "../../mod/turn/mod.ts";
import { seededRandom } from "../embedded/relay_harness.ts";

export const address = (text: string): SocketAddress => SocketAddress.parse(text)!;

export const RELAY = { v4: address("192.0.2.1:3478"), v6: address("[2001:db8::1]:3478") };
export const LOCAL = { v4: address("10.1.2.3:52625"), v6: address("[2001:db8:5::5]:52625") };
export const MAPPED = { v4: address("203.0.113.5:52625"), v6: address("[2001:db8:5::5]:52625") };
export const RELAYED = { v4: address("192.0.2.1:50001"), v6: address("[2001:db8::1]:50001") };
export const PEER = { v4: address("198.51.100.7:4000"), v6: address("[2001:db8:7::7]:4000") };
export const USERNAME = "1761004800:kB8gD4KFbA5XSOXCQW+7SqIFp6Rf6vtEPQY4WVvUe9s";
export const PASSWORD = "4sW8ucHJlGcXYf78HZMzJtLGAsqWqx4bHSbVHUDd+fs";
export const REALM = "firezone";
export const KEY = longTermKey(USERNAME, REALM, PASSWORD);

export type Families = "v4" | "v6" | "dual";

/** One request as the relay sees it. */
export interface Seen extends StunMessage {
  readonly dst: SocketAddress;
}

export class ScriptedRelay {
  now: number;
  readonly allocation: Allocation;
  /** Everything reported so far. */
  readonly events: AllocationEvent[] = [];

  constructor(families: Families = "dual", options: Partial<AllocationOptions> = {}, now = 1000) {
    this.now = now;
    this.allocation = new Allocation({
      relayId: "relay",
      addresses: {
        v4: families === "v6" ? undefined : RELAY.v4,
        v6: families === "v4" ? undefined : RELAY.v6,
      },
      username: USERNAME,
      password: PASSWORD,
      realm: REALM,
      software: "snownet",
      random: seededRandom(7),
      now,
      ...options,
    });
  }

  /** What was sent since the last look. */
  sent(): Seen[] {
    const seen: Seen[] = [];
    for (let t: Transmit | undefined; (t = this.allocation.pollTransmit());) {
      seen.push({ ...decodeStun(t.payload)!, dst: t.dst });
    }
    for (let event: AllocationEvent | undefined; (event = this.allocation.pollEvent());) {
      this.events.push(event);
    }
    return seen;
  }

  /** Exactly one request of `method` was sent since the last look. */
  one(method: number): Seen {
    const seen = this.sent();
    if (seen.length !== 1 || seen[0]!.method !== method) {
      throw new Error(`expected one request of method ${method}, saw ${seen.map((s) => s.method)}`);
    }
    return seen[0]!;
  }

  /** Events since the start, as `type address`. */
  told(): string[] {
    this.sent();
    return this.events.map((event) =>
      event.type === "invalidated"
        ? `invalidated ${event.addresses.join(" ")}`
        : `${event.type} ${event.address}`
    );
  }

  /** Delivers an answer; signed unless `key` is null. */
  answer(
    request: Seen,
    messageClass: "success" | "error",
    attributes: readonly StunAttribute[],
    key: Uint8Array | null = KEY,
    from: SocketAddress = request.dst,
  ): boolean {
    const bytes = encodeStun({
      class: messageClass,
      method: request.method,
      transactionId: request.transactionId,
      attributes,
      ...(key && { integrityKey: key }),
    });
    return this.allocation.handleDatagram(from, from.family === 4 ? LOCAL.v4 : LOCAL.v6, bytes, this.now);
  }

  error(
    request: Seen,
    code: number,
    more: readonly StunAttribute[] = [],
    key: Uint8Array | null = KEY,
  ): boolean {
    return this.answer(request, "error", [[A.ERROR_CODE, { code, reason: "" }], ...more], key);
  }

  challenge(request: Seen, nonce: string, code = 401, key: Uint8Array | null = KEY): boolean {
    return this.error(request, code, [[A.REALM, REALM], [A.NONCE, nonce]], key);
  }

  bindingSuccess(request: Seen, mapped = request.dst.family === 4 ? MAPPED.v4 : MAPPED.v6): boolean {
    return this.answer(request, "success", [[A.XOR_MAPPED_ADDRESS, mapped]], null);
  }

  allocateSuccess(
    request: Seen,
    relayed: readonly SocketAddress[] = [RELAYED.v4, RELAYED.v6],
    lifetime = 600,
  ): boolean {
    return this.answer(request, "success", [
      ...relayed.map((a) => [A.XOR_RELAYED_ADDRESS, a] as const),
      [A.XOR_MAPPED_ADDRESS, MAPPED.v4],
      [A.LIFETIME, lifetime],
    ]);
  }

  /** Lets `ms` pass, driving the timers exactly when they are due. */
  pass(ms: number): Seen[] {
    const end = this.now + ms, seen = this.sent();
    for (;;) {
      const due = this.allocation.pollTimeout();
      if (due === undefined || due > end) break;
      if (due < this.now) throw new Error("pollTimeout() is in the past");
      this.now = due;
      this.allocation.handleTimeout(this.now);
      seen.push(...this.sent());
    }
    this.now = end;
    this.allocation.handleTimeout(end);
    seen.push(...this.sent());
    return seen;
  }

  /** Through both BINDINGs, the challenge and ALLOCATE. */
  allocate(relayed: readonly SocketAddress[] = [RELAYED.v4, RELAYED.v6], lifetime = 600): this {
    for (const binding of this.sent()) this.bindingSuccess(binding);
    this.challenge(this.one(Method.ALLOCATE), "nonce-1");
    this.allocateSuccess(this.one(Method.ALLOCATE), relayed, lifetime);
    if (this.sent().length > 0) throw new Error("unexpected requests after the allocation");
    return this;
  }

  /** An allocated client with a confirmed channel to `peer`; its number. */
  bound(peer: SocketAddress = PEER.v4): number {
    this.allocation.bind(peer, this.now);
    const request = this.one(Method.CHANNEL_BIND);
    this.answer(request, "success", []);
    return request.channelNumber!;
  }
}
