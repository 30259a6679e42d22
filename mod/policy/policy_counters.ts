/**
 * Every way a packet can go through the policy, by name (spec policy §8). A refused outbound packet counts twice:
 * once under its reason, once under the answer it got (or did not get).
 */
import type { Counters } from "../packet/counters.ts";
import {
  ICMP_REFUSED,
  INTERNET_BLOCKED,
  NO_RESOURCE,
  PROTOCOL_REFUSED,
  TCP_PORT,
  UDP_PORT,
} from "./access.ts";

/** Names of the findings of `access.ts`, the same in both directions. */
const FINDINGS: readonly (readonly [number, string])[] = [
  [NO_RESOURCE, "no_resource"],
  [INTERNET_BLOCKED, "internet_blocked"],
  [TCP_PORT, "tcp_port"],
  [UDP_PORT, "udp_port"],
  [ICMP_REFUSED, "icmp_filter"],
  [PROTOCOL_REFUSED, "protocol_filter"],
];

/** Indices into {@link Counters}; fields of refusals are indexed by finding. */
export class PolicyCounters {
  /** Client to resource. */
  readonly outForwarded: number;
  readonly outToGateway: number;
  readonly outControl: number;
  readonly outMulticast: number;
  readonly outIcmpError: number;
  readonly outNoPeer: number;
  readonly outSpoofedSource: number;
  readonly outOtherClient: number;
  readonly outRefused: readonly number[];
  /** Proxy address without a mapping, or whose name has no address of this family. */
  readonly outNoTranslation: number;
  readonly outUnresolved: number;
  /** To a proxy address: neither TCP, UDP nor ICMP echo. */
  readonly outUntranslatable: number;
  readonly outNatExhausted: number;
  readonly answerProhibited: number;
  readonly answerUnreachable: number;
  /** Refused without an answer: the client provoked too many. */
  readonly answerLimited: number;
  /** Resource to client. */
  readonly inForwarded: number;
  readonly inFromGateway: number;
  readonly inIcmpError: number;
  readonly inIcmpErrorTranslated: number;
  readonly inExpiredSession: number;
  readonly inNotToClient: number;
  readonly inNoPeer: number;
  readonly inOtherClient: number;
  readonly inProxySource: number;
  readonly inRefused: readonly number[];

  constructor(counters: Counters) {
    const register = (name: string) => counters.register(`policy_${name}`);
    const refusals = (direction: string) => {
      const indices: number[] = [];
      for (const [finding, name] of FINDINGS) indices[finding] = register(`${direction}_refused_${name}`);
      return indices;
    };
    this.outForwarded = register("out_forwarded");
    this.outToGateway = register("out_to_gateway");
    this.outControl = register("out_control");
    this.outMulticast = register("out_multicast");
    this.outIcmpError = register("out_icmp_error");
    this.outNoPeer = register("out_no_peer");
    this.outSpoofedSource = register("out_refused_spoofed_source");
    this.outOtherClient = register("out_refused_other_client");
    this.outRefused = refusals("out");
    this.outNoTranslation = register("out_refused_no_translation");
    this.outUnresolved = register("out_refused_unresolved");
    this.outUntranslatable = register("out_nat_unsupported");
    this.outNatExhausted = register("out_nat_exhausted");
    this.answerProhibited = register("answer_prohibited");
    this.answerUnreachable = register("answer_unreachable");
    this.answerLimited = register("answer_limited");
    this.inForwarded = register("in_forwarded");
    this.inFromGateway = register("in_from_gateway");
    this.inIcmpError = register("in_icmp_error");
    this.inIcmpErrorTranslated = register("in_icmp_error_translated");
    this.inExpiredSession = register("in_nat_session_expired");
    this.inNotToClient = register("in_not_to_client");
    this.inNoPeer = register("in_no_peer");
    this.inOtherClient = register("in_refused_other_client");
    this.inProxySource = register("in_refused_proxy_source");
    this.inRefused = refusals("in");
  }
}
