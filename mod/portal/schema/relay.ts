/**
 * What a relay and the portal say to each other (spec portal §5.1): the relay joins with the secret that its
 * credentials are made of, the portal greets with an empty `init`, and from then on being joined is all there is.
 */
import type { Codec } from "../codec.ts";
import { decode, type Decoded } from "./issues.ts";

export interface RelayEvent {
  /** The portal hands this relay out from now on. */
  readonly type: "init";
}

/** Never throws. The greeting's payload is not looked at: it may get content one day. */
export function decodeRelayEvent(event: string, _payload: unknown): Decoded<RelayEvent> {
  return decode(event, (reader) => event === "init" ? { type: "init" } : reader.fail("", "unknown event"));
}

/** @param stampSecret As text, which is what credentials are made of. */
export function relayCodec(stampSecret: string): Codec<RelayEvent, never> {
  return {
    topic: "relay",
    joinPayload: { stamp_secret: stampSecret },
    decode: decodeRelayEvent,
    encode: (command) => command,
    signalOf: () => undefined,
    commandOf: () => {
      throw new TypeError("A relay has no candidates.");
    },
    unconfirmed: () => undefined,
    confirmed: () => undefined,
  };
}
