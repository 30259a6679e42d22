/** A client that speaks single requests to the relay core and checks what holds for every answer. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { relayCredentials } from "../../mod/embedded/relay/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  longTermKey,
  Method,
  type StunAttribute,
  type StunMessage,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import {
  type HarnessOptions,
  RELAY_V4,
  RELAY_V6,
  RelayHarness,
  seededRandom,
  STAMP_SECRET,
  UNIX_NOW,
} from "./relay_harness.ts";

export const address = (text: string) => SocketAddress.parse(text)!;
export const CLIENT = address("203.0.113.5:40000");
export const PEER = address("198.51.100.7:4000");
export const UDP: StunAttribute = [A.REQUESTED_TRANSPORT, 17];
export const BOTH: StunAttribute = [A.ADDITIONAL_ADDRESS_FAMILY, 6];

export function credential(device: string, expiresAt = UNIX_NOW + 86400) {
  const { username, password } = relayCredentials({
    publicKey: device,
    stampSecret: STAMP_SECRET,
    expiresAt,
  });
  return { username, key: longTermKey(username, "firezone", password) };
}
export const ALICE = credential("alice");
export const BOB = credential("bob");

/** A client that speaks raw requests to the relay core. */
export class RawClient {
  readonly relay: RelayHarness;
  readonly random = seededRandom(3);
  now = 1000;
  nonce: string | undefined;

  constructor(
    options: HarnessOptions = {},
    readonly from = CLIENT,
    public user = ALICE,
    relay?: RelayHarness,
  ) {
    this.relay = relay ?? new RelayHarness(options);
  }

  raw(bytes: Uint8Array): StunMessage | undefined {
    const sent = this.relay.fromClient(this.from, [bytes], this.now);
    ok(sent.length <= 1);
    if (!sent[0]) return undefined;
    equal(sent[0].dst.key, this.from.key);
    equal(sent[0].port, 3478);
    equal(sent[0].local, this.from.family === 4 ? RELAY_V4 : RELAY_V6, "from the address it was asked at");
    return decodeStun(sent[0].payload)!;
  }

  /** A signed request with the nonce known so far. */
  request(
    method: number,
    attributes: readonly StunAttribute[],
    transactionId = this.random(12),
  ): StunMessage {
    const answer = this.raw(encodeStun({
      class: "request",
      method,
      transactionId,
      attributes: [
        ...attributes,
        [A.USERNAME, this.user.username],
        [A.REALM, "firezone"],
        ...(this.nonce === undefined ? [] : [[A.NONCE, this.nonce] as const]),
      ],
      integrityKey: this.user.key,
    }))!;
    deepEqual(answer.transactionId, transactionId);
    equal(answer.method, method);
    ok(verifyIntegrity(answer, this.user.key), "every answer is signed with the client's own credential");
    return answer;
  }

  /** ALLOCATE through the challenge. */
  allocate(attributes: readonly StunAttribute[] = [UDP, BOTH]): StunMessage {
    const challenge = this.request(Method.ALLOCATE, attributes);
    if (challenge.errorCode?.code !== 401 && challenge.errorCode?.code !== 438) return challenge;
    this.nonce = challenge.nonce!;
    return this.request(Method.ALLOCATE, attributes);
  }

  bind(channel: number, peer: SocketAddress): number {
    const answer = this.request(Method.CHANNEL_BIND, [[A.XOR_PEER_ADDRESS, peer], [
      A.CHANNEL_NUMBER,
      channel,
    ]]);
    return answer.errorCode?.code ?? 0;
  }

  refresh(...attributes: StunAttribute[]): StunMessage {
    return this.request(Method.REFRESH, [UDP, BOTH, ...attributes]);
  }
}
