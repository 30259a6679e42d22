import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { SocketAddress } from "../../mod/packet/address.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  looksLikeStun,
  Method,
  shortTermKey,
  type StunAttribute,
  StunClass,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import { fromHex, hex } from "./hex.ts";

const HEADER = "2112a442000102030405060708090a0b";
const KEY = shortTermKey("secret");

/** A Binding request around raw attribute bytes. */
function binding(attributes: string): Uint8Array<ArrayBuffer> {
  return fromHex("0001" + (attributes.length / 2).toString(16).padStart(4, "0") + HEADER + attributes);
}

Deno.test("a message must have the cookie, two zero bits, and exactly the length it states", () => {
  ok(decodeStun(binding("")));
  const valid = fromHex("00010000" + HEADER);
  for (let length = 0; length < 20; length++) equal(decodeStun(valid.subarray(0, length)), undefined);
  equal(decodeStun(fromHex("40010000" + HEADER)), undefined);
  equal(decodeStun(fromHex("00010000" + "2112a443000102030405060708090a0b")), undefined);
  equal(decodeStun(fromHex("00010004" + HEADER)), undefined, "shorter than stated");
  equal(decodeStun(fromHex("00010000" + HEADER + "00240004")), undefined, "longer than stated");
  equal(decodeStun(fromHex("00010002" + HEADER + "0000")), undefined, "not a multiple of four");
});

Deno.test("an attribute that reaches beyond the message, with or without its padding, rejects it", () => {
  equal(decodeStun(binding("0006000861626364")), undefined);
  ok(decodeStun(binding("0006000461626364")));
  ok(decodeStun(binding("0006000361626300")));
  equal(decodeStun(binding("0006ffff61626364")), undefined);
});

Deno.test("an attribute of fixed size with another size rejects the message", () => {
  const fixed: [number, number[]][] = [
    [A.PRIORITY, [4]],
    [A.USE_CANDIDATE, [0]],
    [A.ICE_CONTROLLED, [8]],
    [A.ICE_CONTROLLING, [8]],
    [A.MESSAGE_INTEGRITY, [20]],
    [A.FINGERPRINT, [4]],
    [A.LIFETIME, [4]],
    [A.EVEN_PORT, [1]],
    [A.CHANNEL_NUMBER, [4]],
    [A.REQUESTED_TRANSPORT, [4]],
    [A.REQUESTED_ADDRESS_FAMILY, [4]],
    [A.ADDITIONAL_ADDRESS_FAMILY, [4]],
  ];
  for (const [type, sizes] of fixed) {
    for (let size = 0; size <= 24; size++) {
      const value = "00".repeat((size + 3) & ~3);
      const bytes = binding(type.toString(16).padStart(4, "0") + size.toString(16).padStart(4, "0") + value);
      equal(decodeStun(bytes) !== undefined, sizes.includes(size), `type ${type} size ${size}`);
    }
  }
});

Deno.test("an XOR address is 8 bytes for IPv4 and 20 for IPv6, any other form rejects the message", () => {
  const value = "112233445566778899aabbccddeeff00".repeat(2);
  for (const type of ["0012", "0016", "0020"]) {
    for (let size = 0; size <= 24; size++) {
      for (let family = 0; family <= 3; family++) {
        const body = ("00" + family.toString(16).padStart(2, "0") + value).slice(0, 2 * ((size + 3) & ~3));
        const valid = (family === 1 && size === 8) || (family === 2 && size === 20);
        equal(decodeStun(binding(type + size.toString(16).padStart(4, "0") + body)) !== undefined, valid);
      }
    }
  }
});

Deno.test("text must be UTF-8 and within its limit", () => {
  equal(decodeStun(binding("00060004c3280000")), undefined);
  equal(decodeStun(binding("00060001ff000000")), undefined);
  const username = (length: number) =>
    encodeStun({
      class: "request",
      method: Method.BINDING,
      transactionId: new Uint8Array(12),
      attributes: [[A.USERNAME, "a".repeat(length)]],
    });
  equal(decodeStun(username(513))?.username?.length, 513);
  equal(decodeStun(username(514)), undefined);
});

Deno.test("a four-byte username needs no padding", () => {
  equal(decodeStun(binding("0006000461626364"))?.username, "abcd");
});

Deno.test("ERROR-CODE carries class and number within range", () => {
  deepEqual(decodeStun(binding("00090008000004256261643f"))?.errorCode, { code: 437, reason: "bad?" });
  deepEqual(decodeStun(binding("0009000400000457"))?.errorCode, { code: 487, reason: "" });
  equal(decodeStun(binding("0009000400000000")), undefined);
  equal(decodeStun(binding("0009000400000464")), undefined, "number 100");
  equal(decodeStun(binding("0009000300000400")), undefined, "too short");
});

Deno.test("behind MESSAGE-INTEGRITY only FINGERPRINT is read, and behind FINGERPRINT nothing may follow", () => {
  const integrity = "00080014" + "00".repeat(20);
  const priority = "0024000400000001", fingerprint = "8028000400000000";
  equal(decodeStun(binding(priority + integrity))?.priority, 1);
  const hidden = decodeStun(binding(integrity + priority + "7fff0000"))!;
  equal(hidden.priority, undefined);
  deepEqual(hidden.unknownRequired, []);
  ok(decodeStun(binding(integrity + fingerprint)));
  equal(decodeStun(binding(integrity + fingerprint + priority)), undefined);
  equal(decodeStun(binding(fingerprint + integrity)), undefined);
  equal(decodeStun(binding(integrity + "0024000800000000")), undefined, "still has to be well formed");
});

Deno.test("of a repeated attribute the first counts; relayed addresses are collected", () => {
  equal(decodeStun(binding("0024000400000001" + "0024000400000002"))?.priority, 1);
  const relayed = ["192.0.2.1:50000", "[2001:db8::1]:50000"].map((text) => SocketAddress.parse(text)!);
  const message = decodeStun(encodeStun({
    class: "success",
    method: Method.ALLOCATE,
    transactionId: new Uint8Array(12).fill(9),
    attributes: relayed.map((address) => [A.XOR_RELAYED_ADDRESS, address] as const),
  }))!;
  deepEqual(message.xorRelayedAddresses.map(String), relayed.map(String));
});

Deno.test("unknown attributes don't reject; the comprehension-required ones are listed", () => {
  const message = decodeStun(
    binding("7f0100017f000000" + "ff0100017f000000" + "0022000800000000" + "00000000"),
  )!;
  deepEqual(message.unknownRequired, [0x7f01, A.RESERVATION_TOKEN]);
});

Deno.test("an unknown address family is told apart from an absent one", () => {
  equal(decodeStun(binding("0017000403000000"))?.requestedFamily, 0);
  equal(decodeStun(binding("0017000401000000"))?.requestedFamily, 4);
  equal(decodeStun(binding("0017000402000000"))?.requestedFamily, 6);
  equal(decodeStun(binding(""))?.requestedFamily, undefined);
});

Deno.test("every class and method survives a round trip through the scattered type bits", () => {
  for (const messageClass of Object.values(StunClass)) {
    for (let method = 0; method < 0x1000; method++) {
      const bytes = encodeStun({
        class: messageClass,
        method,
        transactionId: new Uint8Array(12),
        attributes: [],
      });
      const message = decodeStun(bytes);
      equal(message?.class, messageClass);
      equal(message?.method, method);
    }
  }
  equal(
    hex(encodeStun({ class: "error", method: 9, transactionId: new Uint8Array(12), attributes: [] })).slice(
      0,
      4,
    ),
    "0119",
  );
});

const address = fc.tuple(
  fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
  fc.integer({ min: 0, max: 65535 }),
).map(([ip, port]) => SocketAddress.fromBytes(ip, port));
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const attribute: fc.Arbitrary<StunAttribute> = fc.oneof(
  fc.tuple(
    fc.constantFrom(A.USERNAME, A.REALM, A.NONCE, A.SOFTWARE),
    fc.string({ unit: "binary", maxLength: 100 }),
  ),
  fc.tuple(fc.constantFrom(A.PRIORITY, A.LIFETIME), u32),
  fc.tuple(fc.constant(A.CHANNEL_NUMBER), fc.integer({ min: 0, max: 0xffff })),
  fc.tuple(fc.constant(A.REQUESTED_TRANSPORT), fc.integer({ min: 0, max: 255 })),
  fc.tuple(
    fc.constantFrom(A.REQUESTED_ADDRESS_FAMILY, A.ADDITIONAL_ADDRESS_FAMILY),
    fc.constantFrom(4 as const, 6 as const),
  ),
  fc.tuple(
    fc.constantFrom(A.ICE_CONTROLLED, A.ICE_CONTROLLING),
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  ),
  fc.constant([A.USE_CANDIDATE] as const),
  fc.tuple(fc.constantFrom(A.XOR_MAPPED_ADDRESS, A.XOR_PEER_ADDRESS, A.XOR_RELAYED_ADDRESS), address),
  fc.tuple(
    fc.constant(A.ERROR_CODE),
    fc.record({ code: fc.integer({ min: 300, max: 699 }), reason: fc.string({ maxLength: 60 }) }),
  ),
);

Deno.test("any encoded message decodes to the same attributes and verifies with its key only", () => {
  fc.assert(fc.property(
    fc.uniqueArray(attribute, { selector: (a) => a[0], maxLength: 14 }),
    fc.uint8Array({ minLength: 12, maxLength: 12 }),
    fc.boolean(),
    (attributes, transactionId, fingerprint) => {
      const bytes = encodeStun({
        class: "request",
        method: Method.ALLOCATE,
        transactionId,
        attributes,
        integrityKey: KEY,
        fingerprint,
      });
      const message = decodeStun(bytes)!;
      ok(verifyIntegrity(message, KEY));
      ok(!verifyIntegrity(message, shortTermKey("secrets")));
      const shown: Record<number, unknown> = {
        [A.USERNAME]: message.username,
        [A.REALM]: message.realm,
        [A.NONCE]: message.nonce,
        [A.SOFTWARE]: message.software,
        [A.PRIORITY]: message.priority,
        [A.LIFETIME]: message.lifetime,
        [A.CHANNEL_NUMBER]: message.channelNumber,
        [A.REQUESTED_TRANSPORT]: message.requestedTransport,
        [A.REQUESTED_ADDRESS_FAMILY]: message.requestedFamily,
        [A.ADDITIONAL_ADDRESS_FAMILY]: message.additionalFamily,
        [A.ICE_CONTROLLED]: message.iceControlled,
        [A.ICE_CONTROLLING]: message.iceControlling,
        [A.USE_CANDIDATE]: message.useCandidate ? undefined : "missing",
        [A.XOR_MAPPED_ADDRESS]: message.xorMappedAddress,
        [A.XOR_PEER_ADDRESS]: message.xorPeerAddress,
        [A.XOR_RELAYED_ADDRESS]: message.xorRelayedAddresses[0],
        [A.ERROR_CODE]: message.errorCode,
      };
      for (const [type, value] of attributes) deepEqual(shown[type], value);
    },
  ));
});

Deno.test("any bytes, alone or behind a valid header, decode or don't, but never throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    looksLikeStun(bytes);
    decodeStun(bytes);
  }));
  const tlv = fc.tuple(
    fc.oneof(fc.constantFrom(...Object.values(A)), fc.integer({ min: 0, max: 0xffff })),
    fc.oneof(fc.integer({ min: 0, max: 24 }), fc.integer({ min: 0, max: 0xffff })),
    fc.uint8Array({ maxLength: 24 }),
  ).map(([type, length, value]) => [type >> 8, type & 255, length >> 8, length & 255, ...value]);
  fc.assert(
    fc.property(fc.array(tlv, { maxLength: 5 }), fc.integer({ min: 0, max: 0x3fff }), (attributes, type) => {
      const body = attributes.flat();
      while (body.length % 4) body.push(0);
      const bytes = Uint8Array.from([
        type >> 8,
        type & 255,
        body.length >> 8,
        body.length & 255,
        ...fromHex(HEADER),
        ...body,
      ]);
      const message = decodeStun(bytes);
      if (message) verifyIntegrity(message, KEY);
    }),
    { numRuns: 2000 },
  );
});
