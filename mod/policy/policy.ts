/**
 * The policy: what each client may reach, and the verdict on every packet (spec policy §1, §2).
 *
 * Control side: the portal's statements (`grant`, `revoke`, `updateResource`, `reconcile`, …) change peers; expiry is
 * a monotonic deadline per grant. When a peer loses its last grant it is gone at once and an event says so. A client's
 * wish to use a DNS resource (`handleAssignedIps`) becomes a request to resolve the name, then a mapping of its proxy
 * addresses, then an answer (§4.3 [H]).
 * Packet side: {@link Policy.outbound} for what a client sent, {@link Policy.inbound} for what TUN delivered; both
 * work once on a super-packet of one flow. They never allocate, and they honour a deadline exactly even when
 * `handleTimeout` comes late.
 */
import { parseIp } from "../packet/address.ts";
import type { Counters } from "../packet/counters.ts";
import type { IpHeader } from "../packet/ip_header.ts";
import type { Slab } from "../packet/slab.ts";
import { type AssignedIps, encodeControl } from "./control_packet.ts";
import { deadlineOf } from "./deadline.ts";
import { DomainPattern } from "./domain_pattern.ts";
import { FilterSet } from "./filter.ts";
import { PacketPath } from "./packet_path.ts";
import type { Grant, Peer } from "./peer.ts";
import { PeerStore } from "./peer_store.ts";
import { PendingNames } from "./pending_names.ts";
import { isTunnel4, isTunnel6 } from "./ranges.ts";
import type {
  GrantRequest,
  Id,
  PolicyEvent,
  RemovalReason,
  Resource,
  StandingAuthorization,
  TunnelAddresses,
} from "./types.ts";
import type { Verdict } from "./verdict.ts";
import { type Words, wordsOf } from "./words.ts";

/** Names that a resolver may be asked for: letters, digits, hyphens, underscores; 253 characters (RFC 1035 §2.3.4). */
const NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/i;

/** The portal said something that can't be obeyed; nothing was changed. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
}

export interface PolicyOptions {
  readonly slab: Slab;
  readonly counters: Counters;
  /** Wall clock, Unix milliseconds. */
  readonly unixNow: () => number;
  /** 32 random bits; makes hash collisions unpredictable. */
  readonly seed: number;
}

export class Policy {
  readonly #unixNow: () => number;
  readonly #seed: number;
  readonly #path: PacketPath;
  readonly #peers = new PeerStore();
  readonly #names = new PendingNames();
  readonly #events: PolicyEvent[] = [];
  readonly #counters: Counters;
  readonly #dropNameRequest: number;
  #nextDeadline = Infinity;
  #version = 0;

  constructor({ slab, counters, unixNow, seed }: PolicyOptions) {
    this.#unixNow = unixNow;
    this.#seed = seed;
    this.#counters = counters;
    this.#dropNameRequest = counters.register("policy_name_request_dropped");
    this.#path = new PacketPath(slab, counters, this.#peers, seed);
  }

  // Control ----------------------------------------------------------------------------------------------------

  /** The gateway's own tunnel addresses; known peers adopt them. */
  setInterface({ ipv4, ipv6 }: TunnelAddresses): void {
    this.#path.own = tunnelWords(ipv4, ipv6, "Cannot use the gateway's tunnel addresses");
  }

  /**
   * Gives access, or renews it: filters, address and expiry of a resource that the client holds are replaced. A
   * client whose tunnel addresses changed loses everything else (its flows could not continue); a client whose
   * address now belongs to this one is removed.
   *
   * Throws a {@link PolicyError} before `setInterface` and for addresses that can't be routed.
   */
  grant({ client, resource, expiresAt }: GrantRequest, now: number): Peer {
    if (!this.#path.own) {
      throw new PolicyError(
        "Cannot grant access: the gateway's tunnel addresses are not known. Wait for the portal's init.",
      );
    }
    tunnelWords(client.ipv4, client.ipv6, "Cannot grant access: the client's tunnel addresses are unusable");
    checkResource(resource);
    this.handleTimeout(now);
    for (const rival of this.#peers.rivalsOf(client)) this.#remove(rival, "address-reassigned");
    let peer = this.#peers.byId(client.id);
    if (!peer) peer = this.#peers.add(client, now);
    else if (!sameBytes(peer.ipv4, client.ipv4) || !sameBytes(peer.ipv6, client.ipv6)) {
      this.#peers.readdress(peer, client);
    }
    peer.grants.set(resource.id, {
      resource,
      filters: filtersOf(resource),
      deadline: deadlineOf(expiresAt, now, this.#unixNow()),
    });
    this.#compile(peer);
    return peer;
  }

  /** Takes one resource away. Unknown clients and resources are ignored; true when something was removed. */
  revoke(clientId: Id, resourceId: Id): boolean {
    const peer = this.#peers.byId(clientId);
    if (!peer?.grants.delete(resourceId)) return false;
    this.#settle(peer, "revoked");
    return true;
  }

  /** Replaces the expiry of a grant. False when the client does not hold the resource. */
  updateExpiry(clientId: Id, resourceId: Id, expiresAt: number | null, now: number): boolean {
    this.handleTimeout(now);
    const peer = this.#peers.byId(clientId);
    const grant = peer?.grants.get(resourceId);
    if (!peer || !grant) return false;
    peer.grants.set(resourceId, { ...grant, deadline: deadlineOf(expiresAt, now, this.#unixNow()) });
    this.#compile(peer);
    return true;
  }

  /**
   * Replaces the filters of a resource for everyone who holds it; nothing else of it can change under a grant, and
   * a resource of another kind is ignored. Returns how many clients were affected.
   */
  updateResource(resource: Resource): number {
    let affected = 0;
    for (const peer of this.#peers.all()) {
      const grant = peer.grants.get(resource.id);
      if (grant === undefined || resource.type === "internet") continue;
      if (grant.resource.type !== resource.type) continue;
      peer.grants.set(resource.id, {
        ...grant,
        resource: { ...grant.resource, filters: resource.filters },
        filters: filtersOf(resource),
      });
      this.#compile(peer);
      affected++;
    }
    return affected;
  }

  /**
   * The portal's complete list of what is still allowed: everything else is revoked, an empty list revokes all.
   * Undefined means that the portal said nothing, and changes nothing. The list never gives access; an expiry in it
   * replaces the known one.
   */
  reconcile(authorizations: readonly StandingAuthorization[] | undefined, now: number): void {
    if (authorizations === undefined) return;
    this.handleTimeout(now);
    const unixNow = this.#unixNow();
    const listed = new Map<Id, Map<Id, StandingAuthorization>>();
    for (const entry of authorizations) {
      const resources = listed.get(entry.clientId) ?? new Map<Id, StandingAuthorization>();
      listed.set(entry.clientId, resources.set(entry.resourceId, entry));
    }
    for (const peer of [...this.#peers.all()]) {
      const resources = listed.get(peer.clientId);
      for (const [id, grant] of [...peer.grants]) {
        const entry = resources?.get(id);
        if (!entry) peer.grants.delete(id);
        else if (entry.expiresAt !== undefined) {
          peer.grants.set(id, { ...grant, deadline: deadlineOf(entry.expiresAt, now, unixNow) });
        }
      }
      this.#settle(peer, "not-listed");
    }
  }

  /** Forgets a client (it said goodbye). No event follows. False when it is unknown. */
  removePeer(clientId: Id): boolean {
    const peer = this.#peers.byId(clientId);
    if (!peer) return false;
    this.#peers.remove(peer);
    this.#schedule();
    return true;
  }

  peerById(clientId: Id): Peer | undefined {
    return this.#peers.byId(clientId);
  }

  peers(): IterableIterator<Peer> {
    return this.#peers.all();
  }

  get peerCount(): number {
    return this.#peers.size;
  }

  // Names ------------------------------------------------------------------------------------------------------

  /**
   * A client assigned proxy addresses to a name of a DNS resource. Events follow: "resolve" unless the name is being
   * resolved already, and in the end one "control" with the answer.
   */
  handleAssignedIps(peer: Peer, { resource, domain, proxyIps }: AssignedIps): void {
    if (peer.removed) return;
    const request = {
      peer,
      resourceId: resource,
      domain,
      proxyIps: proxyIps.map((text) => parseIp(text)).filter((ip) => ip !== undefined),
    };
    if (!NAME.test(domain) || !isOwned(peer, resource, domain)) {
      return this.#answer(peer, resource, domain, false);
    }
    switch (this.#names.add(request)) {
      case "resolve":
        this.#events.push({ type: "resolve", domain });
        break;
      case "full":
        this.#counters.add(this.#dropNameRequest);
        break;
    }
  }

  /**
   * The outcome of a "resolve" event. No addresses are an outcome like others (packets are answered "unreachable");
   * undefined means that there was none in time, and the clients are told so.
   */
  handleResolution(domain: string, addresses: readonly Uint8Array[] | undefined): void {
    for (const { peer, resourceId, domain: asked, proxyIps } of this.#names.take(domain)) {
      if (peer.removed) continue;
      const active = addresses !== undefined && this.setupNat(peer, resourceId, asked, addresses, proxyIps);
      this.#answer(peer, resourceId, asked, active);
    }
  }

  /**
   * Maps proxy addresses of a client to the addresses of a name (§3.2 [H]). Idempotent; open flows keep the address
   * that they have. False when the client does not hold the resource, it is no DNS resource, or the name is not its.
   */
  setupNat(
    peer: Peer,
    resourceId: Id,
    domain: string,
    addresses: readonly Uint8Array[],
    proxyIps: readonly Uint8Array[],
  ): boolean {
    // A proxy address that changes its name means that the client began to number anew: nothing old is true any more.
    if (peer.translations.conflicts(domain, proxyIps)) {
      peer.forgetFlows();
      peer.version = this.#nextVersion();
    }
    if (!isOwned(peer, resourceId, domain)) return false;
    if (!peer.translations.map(domain, resourceId, peer.grants, addresses, proxyIps)) return false;
    peer.openNat(this.#seed);
    peer.version = this.#nextVersion();
    return true;
  }

  // Time and output --------------------------------------------------------------------------------------------

  /** Ends what has expired: grants, NAT sessions. */
  handleTimeout(now: number): void {
    if (now >= this.#nextDeadline) this.#expire(now);
    if (now >= this.#path.nextSweep) this.#path.sweep(now);
  }

  /** When `handleTimeout` is next due, absolute milliseconds. */
  pollTimeout(): number | undefined {
    const next = Math.min(this.#nextDeadline, this.#path.nextSweep);
    return next === Infinity ? undefined : next;
  }

  pollEvent(): PolicyEvent | undefined {
    return this.#events.shift();
  }

  // Packets ----------------------------------------------------------------------------------------------------

  /**
   * What to do with the packet at `offset` that `peer` sent, parsed into `header`. It is left as it is unless the
   * verdict is VERDICT_FORWARD; then it may have been translated in place, and `header` with it.
   */
  outbound(peer: Peer, header: IpHeader, offset: number, _length: number, now: number): Verdict {
    if (now >= this.#nextDeadline || now >= this.#path.nextSweep) this.handleTimeout(now);
    return this.#path.outbound(peer, header, offset, now);
  }

  /**
   * The peer that the packet at `offset` from TUN goes to, or undefined: it was dropped and counted. It may have been
   * translated in place; {@link deliveredLength} is its length then.
   */
  inbound(header: IpHeader, offset: number, length: number, now: number): Peer | undefined {
    if (now >= this.#nextDeadline || now >= this.#path.nextSweep) this.handleTimeout(now);
    return this.#path.inbound(header, offset, length, now);
  }

  /** Length of the last packet that {@link inbound} let through; a translated ICMP error may have become shorter. */
  get deliveredLength(): number {
    return this.#path.length;
  }

  /** The grant that let the last packet through; undefined when none did or none was needed. */
  get matched(): Grant | undefined {
    return this.#path.matched;
  }

  // ------------------------------------------------------------------------------------------------------------

  #answer(peer: Peer, resource: Id, domain: string, active: boolean): void {
    const packet = encodeControl({ type: "domain-status", resource, domain, active });
    this.#events.push({ type: "control", peer, packet });
  }

  #nextVersion(): number {
    return this.#version = (this.#version + 1) >>> 0 || 1;
  }

  #compile(peer: Peer): void {
    peer.compile(this.#nextVersion());
    this.#schedule();
  }

  /** After grants went: a peer without any goes too. */
  #settle(peer: Peer, reason: RemovalReason): void {
    if (peer.grants.size === 0) this.#remove(peer, reason);
    else this.#compile(peer);
  }

  #remove(peer: Peer, reason: RemovalReason): void {
    this.#peers.remove(peer);
    this.#schedule();
    this.#events.push({ type: "peer-removed", peer, clientId: peer.clientId, reason });
  }

  #schedule(): void {
    let next = Infinity;
    for (const peer of this.#peers.all()) next = Math.min(next, peer.nextDeadline);
    this.#nextDeadline = next;
  }

  #expire(now: number): void {
    for (const peer of [...this.#peers.all()]) {
      if (now < peer.nextDeadline) continue;
      for (const [resourceId, grant] of [...peer.grants]) {
        if (now < grant.deadline) continue;
        peer.grants.delete(resourceId);
        this.#events.push({ type: "access-expired", clientId: peer.clientId, resourceId });
      }
      this.#settle(peer, "expired");
    }
  }
}

/** True when this is a name that may be looked up, and belongs to this DNS resource. */
export function isNameOf(resource: Resource, domain: string): boolean {
  return resource.type === "dns" && NAME.test(domain) && new DomainPattern(resource.address).matches(domain);
}

/** True when the client holds this DNS resource and the name belongs to it. */
function isOwned(peer: Peer, resourceId: Id, domain: string): boolean {
  const resource = peer.grants.get(resourceId)?.resource;
  return resource?.type === "dns" && new DomainPattern(resource.address).matches(domain);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function filtersOf(resource: Resource): FilterSet {
  return resource.type === "internet" ? FilterSet.EVERYTHING : new FilterSet(resource.filters);
}

function tunnelWords(ipv4: Uint8Array, ipv6: Uint8Array, problem: string): { v4: Words; v6: Words } {
  const v4 = wordsOf(ipv4), v6 = wordsOf(ipv6);
  if (v4 && v6 && ipv4.length === 4 && ipv6.length === 16 && isTunnel4(v4[0]) && isTunnel6(...v6)) {
    return { v4, v6 };
  }
  throw new PolicyError(
    `${problem}: not inside 100.64.0.0/11 and fd00:2021:1111::/107. Check the portal's address ranges.`,
  );
}

function checkResource(resource: Resource): void {
  if (resource.type !== "cidr") return;
  const { ip, prefix } = resource.address;
  if (
    (ip.length === 4 || ip.length === 16) && Number.isInteger(prefix) && prefix >= 0 &&
    prefix <= 8 * ip.length
  ) {
    return;
  }
  throw new PolicyError(`Cannot grant access: resource ${resource.id} is no network. Check its address.`);
}
