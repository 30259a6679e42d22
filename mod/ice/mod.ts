/** ICE: candidates, their strings, and the agent of one connection in either role. */
export { IceAgent } from "./agent.ts";
export { hostCandidate, matchesRemoval, relayCandidate, serverReflexiveCandidate } from "./candidate.ts";
export type { Candidate, CandidateKind } from "./candidate.ts";
export { formatCandidate, parseCandidate } from "./candidate_text.ts";
export type { IceCredentials } from "./check_messages.ts";
export { optimisticCandidates } from "./optimistic.ts";
export type { IceState } from "./state.ts";
export { CLIENT_ACTIVE, CLIENT_IDLE, GATEWAY_ACTIVE, GATEWAY_IDLE } from "./timing.ts";
export type { IceTiming } from "./timing.ts";
export type { IceAgentOptions, IceEvent, IcePath, IceTransmit, PairStatus } from "./types.ts";
