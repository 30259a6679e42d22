/** The device's side of the portal's protocol: login, channel, messages of both dialects. `io/portal_io.ts` drives it. */
export * from "./backoff.ts";
export * from "./candidate_outbox.ts";
export * from "./channel.ts";
export * from "./cidr.ts";
export * from "./codec.ts";
export * from "./external_id.ts";
export * from "./failure.ts";
export * from "./frame.ts";
export * from "./key.ts";
export * from "./login_url.ts";
export * from "./schema/client.ts";
export * from "./schema/gateway.ts";
export * from "./schema/report.ts";
export { type Decoded, MessageError } from "./schema/issues.ts";
export * from "./session.ts";
export * from "./types.ts";
export * from "./user_agent.ts";
export * from "./uuid.ts";
