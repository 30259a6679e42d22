/**
 * Candidates: transport addresses at which an agent may be reached (RFC 8445 §5.1, snownet §2.2).
 *
 * A candidate is an immutable value. The constructors here give it the default local preference; the agent that
 * adopts it returns its own version with the local preference of §2.5, and that one is signalled. UDP and component
 * 1 are the only ones in use, so neither is a field.
 */
import { type IpFamily, SocketAddress } from "../packet/address.ts";
import { type CandidateKind, candidatePriority, defaultLocalPreference } from "./priority.ts";

export type { CandidateKind } from "./priority.ts";

export interface Candidate {
  readonly kind: CandidateKind;
  /** Where the peer sends to. */
  readonly address: SocketAddress;
  /** Where we send from: the host address behind a server-reflexive one, otherwise `address` itself. */
  readonly base: SocketAddress;
  /** u32, §2.5. */
  readonly priority: number;
  /** Opaque to the receiver: 1 to 32 letters, digits, `+` or `/` in what we emit, anything in what we parse. */
  readonly foundation: string;
  /** `raddr`/`rport`. Ours is always the unspecified address with port 0, so that no private address leaks. */
  readonly relatedAddress?: SocketAddress;
  /** Username fragment the peer put into the candidate; ours is added by `formatCandidate`. */
  readonly ufrag?: string;
  /** Relay only: the allocation was made over the other IP family than `address`. */
  readonly crossFamily?: true;
}

/** An address of our own socket. */
export function hostCandidate(address: SocketAddress): Candidate {
  return candidate("host", address, address);
}

/** An address that a STUN server or relay saw us under. `base` is the local address that asked it. */
export function serverReflexiveCandidate(address: SocketAddress, base: SocketAddress): Candidate {
  return { ...candidate("srflx", address, base), relatedAddress: unspecified(address.family) };
}

/** An address allocated on a relay, which we talk to over `relaySocketFamily`. */
export function relayCandidate(address: SocketAddress, relaySocketFamily: IpFamily): Candidate {
  return {
    ...candidate("relay", address, address),
    relatedAddress: unspecified(address.family),
    ...(relaySocketFamily === address.family ? {} : { crossFamily: true }),
  };
}

/** A remote address that is known only because a check came from it; `priority` is the check's PRIORITY. */
export function remotePeerReflexiveCandidate(address: SocketAddress, priority: number): Candidate {
  return { ...candidate("prflx", address, address), priority };
}

/**
 * True when `a` and `b` name the same candidate: same address, kind and related address. Priority, foundation and
 * ufrag of a removal differ from those of the announcement (snownet §2.4).
 */
export function matchesRemoval(a: Candidate, b: Candidate): boolean {
  return a.kind === b.kind && a.address.key === b.address.key &&
    a.relatedAddress?.key === b.relatedAddress?.key;
}

/**
 * True for an address that a datagram can be sent to and come from: a port, and neither the unspecified, a multicast,
 * the IPv4 broadcast nor an IPv4 link-local address. Loopback and IPv6 link-local pass.
 */
export function isUsableAddress(address: SocketAddress): boolean {
  const [a, b] = address.bytes;
  if (address.port === 0 || address.bytes.every((byte) => byte === 0)) return false;
  if (address.family === 6) return a !== 0xff;
  return !(a! >= 224 && a! < 240) && !(a === 169 && b === 254) && address.ip !== "255.255.255.255";
}

/** FNV-1a of kind and base IP: equal for candidates whose checks share their fate (RFC 8445 §5.1.1.3). */
export function foundationOf(kind: CandidateKind, base: SocketAddress): string {
  let hash = 0x811c9dc5;
  for (const char of `${kind} ${base.ip}`) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

function candidate(kind: CandidateKind, address: SocketAddress, base: SocketAddress): Candidate {
  const priority = candidatePriority(kind, defaultLocalPreference(address.family));
  return { kind, address, base, priority, foundation: foundationOf(kind, base) };
}

function unspecified(family: IpFamily): SocketAddress {
  return SocketAddress.fromBytes(new Uint8Array(family === 4 ? 4 : 16), 0);
}
