/** A policy on a virtual clock with the names that the tests share. */
import { strict as assert } from "node:assert";
import { Counters } from "../../mod/packet/counters.ts";
import { buildProhibited, buildUnreachable } from "../../mod/packet/icmp_error.ts";
import { IpHeader, PARSE_OK } from "../../mod/packet/ip_header.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { Policy } from "../../mod/policy/policy.ts";
import {
  VERDICT_CONTROL,
  VERDICT_DROP,
  VERDICT_FORWARD,
  VERDICT_REPLY_PROHIBITED,
  VERDICT_REPLY_UNREACHABLE,
} from "../../mod/policy/verdict.ts";
import type {
  CidrResource,
  Client,
  DnsResource,
  Filter,
  PolicyEvent,
  Resource,
} from "../../mod/policy/types.ts";
import { ip } from "./packets.ts";

export const GATEWAY = { ipv4: "100.64.0.1", ipv6: "fd00:2021:1111::1" };
export const ALICE = {
  id: "a1000000-0000-4000-8000-000000000000",
  ipv4: "100.64.0.5",
  ipv6: "fd00:2021:1111::5",
};
export const BOB = {
  id: "b0b00000-0000-4000-8000-000000000000",
  ipv4: "100.64.0.6",
  ipv6: "fd00:2021:1111::6",
};
export type Party = typeof ALICE;

/** Wall clock at monotonic 0, Unix milliseconds. */
export const EPOCH = 1_700_000_000_000;

export function client(party: Party): Client {
  return { id: party.id, ipv4: ip(party.ipv4), ipv6: ip(party.ipv6) };
}

export function resourceId(n: number): string {
  return `${n.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`;
}

export function cidr(n: number, network: string, ...filters: Filter[]): CidrResource {
  const [address, prefix] = network.split("/");
  return { type: "cidr", id: resourceId(n), address: { ip: ip(address!), prefix: Number(prefix) }, filters };
}

export function dns(n: number, address: string, ...filters: Filter[]): DnsResource {
  return { type: "dns", id: resourceId(n), address, filters };
}

export function internet(n: number): Resource {
  return { type: "internet", id: resourceId(n) };
}

export function tcpPorts(portStart: number, portEnd = portStart): Filter {
  return { protocol: "tcp", portStart, portEnd };
}

export function udpPorts(portStart: number, portEnd = portStart): Filter {
  return { protocol: "udp", portStart, portEnd };
}

export const ICMP: Filter = { protocol: "icmp" };

/** What became of a packet from a client: the bytes that go on, or the word for what happened instead. */
export type Outbound = Uint8Array | "drop" | "prohibited" | "unreachable" | "control";

export class Bed {
  readonly slab = new Slab(1 << 18);
  readonly counters = new Counters();
  readonly header = new IpHeader();
  readonly offset = this.slab.reserve(1 << 17);
  now = 1000;
  /** How far the wall clock ran away from the monotonic one. */
  wallSkew = 0;
  readonly policy = new Policy({
    slab: this.slab,
    counters: this.counters,
    unixNow: () => EPOCH + this.now + this.wallSkew,
    seed: 0x12345678,
  });

  constructor({ initialised = true } = {}) {
    if (initialised) this.policy.setInterface(client({ id: "", ...GATEWAY }));
  }

  /** Unix seconds, `seconds` from now. */
  in(seconds: number): number {
    return (EPOCH + this.now) / 1000 + seconds;
  }

  grant(party: Party, resource: Resource, expiresAt: number | null = null) {
    return this.policy.grant({ client: client(party), resource, expiresAt }, this.now);
  }

  /** Lets time pass, calling `handleTimeout` exactly when it is due. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (
      let due = this.policy.pollTimeout();
      due !== undefined && due <= end;
      due = this.policy.pollTimeout()
    ) {
      this.now = Math.max(this.now, due);
      this.policy.handleTimeout(this.now);
      const next = this.policy.pollTimeout();
      assert.ok(next === undefined || next > this.now, "asks to be woken in the past");
    }
    this.now = end;
    this.policy.handleTimeout(this.now);
  }

  events(): PolicyEvent[] {
    const events: PolicyEvent[] = [];
    for (let event = this.policy.pollEvent(); event; event = this.policy.pollEvent()) events.push(event);
    return events;
  }

  #load(packet: Uint8Array): boolean {
    this.slab.bytes.set(packet, this.offset);
    return this.header.parse(this.slab.bytes, this.offset, packet.length) === PARSE_OK;
  }

  /** A packet from `party`'s tunnel; parse failures are drops, as in the gateway. */
  send(party: Party, packet: Uint8Array): Outbound {
    const peer = this.policy.peerById(party.id);
    if (!peer || !this.#load(packet)) return "drop";
    const verdict = this.policy.outbound(peer, this.header, this.offset, packet.length, this.now);
    const after = this.slab.bytes.slice(this.offset, this.offset + packet.length);
    switch (verdict) {
      case VERDICT_FORWARD:
        return after;
      case VERDICT_DROP:
        return "drop";
      case VERDICT_CONTROL:
        return "control";
      case VERDICT_REPLY_PROHIBITED:
        assert.deepEqual(after, packet, "an answered packet was changed");
        assert.ok(buildProhibited(after));
        return "prohibited";
      case VERDICT_REPLY_UNREACHABLE:
        assert.deepEqual(after, packet, "an answered packet was changed");
        assert.ok(buildUnreachable(after));
        return "unreachable";
    }
  }

  /** A packet that TUN delivers: the client it goes to and the bytes that go, or undefined. */
  receive(packet: Uint8Array): { readonly to: string; readonly bytes: Uint8Array } | undefined {
    if (!this.#load(packet)) return undefined;
    const peer = this.policy.inbound(this.header, this.offset, packet.length, this.now);
    return peer &&
      {
        to: peer.clientId,
        bytes: this.slab.bytes.slice(this.offset, this.offset + this.policy.deliveredLength),
      };
  }

  /** True when `packet` leaves for TUN exactly as it is. */
  passes(party: Party, packet: Uint8Array): boolean {
    const outcome = this.send(party, packet);
    if (!(outcome instanceof Uint8Array)) return false;
    assert.deepEqual(outcome, packet);
    return true;
  }

  /** True when TUN's `packet` reaches `party` exactly as it is. */
  delivers(party: Party, packet: Uint8Array): boolean {
    const delivery = this.receive(packet);
    if (!delivery) return false;
    assert.deepEqual(delivery.bytes, packet);
    return delivery.to === party.id;
  }
}
