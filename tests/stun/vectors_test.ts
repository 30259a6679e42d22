import { deepEqual, equal, ok } from "node:assert/strict";
import { SocketAddress } from "../../mod/packet/address.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  longTermKey,
  Method,
  shortTermKey,
  type StunMessageInit,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import { fromHex, hex } from "./hex.ts";

const TRANSACTION = fromHex("000102030405060708090a0b");
const CLIENT_KEY = shortTermKey("ksqwm66pilnb7skdwwfw3r");
const GATEWAY_KEY = shortTermKey("mzkrj52x5h5ebrfdsh5iyq");

const CHECK =
  "000100442112a442000102030405060708090a0b00060009773775703a6b7765360000008029000801020304050607080024" +
  "00046efffeff000800147a9856e70f532dfa1244f841b5c8985127a05e51802800045457a473";
const NOMINATION =
  "000100482112a442000102030405060708090a0b000600096b7765363a77377570000000802a000811121314151617180024" +
  "00046efffeff002500000008001423b5ab5e0eb6f952f16b504f32d1f09d4aafb10080280004d9db9010";
const SUCCESS =
  "0101002c2112a442000102030405060708090a0b002000080001ec83ea12d5450008001495e300f6d756c65d528e80892b83" +
  "1c7b3407504080280004bd2b1c9a";
const ALLOCATE =
  "0003007c2112a442000102030405060708090a0b0019000411000000800000040200000080220007736e6f776e6574000006" +
  "0036313733353638393630303a75526e39614f2b71335a4c4a2b575343775564364b41672b6c4b6b2f702b454c35694e3871435443" +
  "4b6759000000140008666972657a6f6e650008001428e8c6c2faadaf7fd0d844380416867ce4123ba4";

const init = (message: Omit<StunMessageInit, "transactionId">): StunMessageInit => ({
  transactionId: TRANSACTION,
  ...message,
});

Deno.test("a gateway's check is encoded as in the vector and decodes to its fields", () => {
  const bytes = encodeStun(init({
    class: "request",
    method: Method.BINDING,
    attributes: [[A.USERNAME, "w7up:kwe6"], [A.ICE_CONTROLLED, 0x0102030405060708n], [
      A.PRIORITY,
      1862270719,
    ]],
    integrityKey: CLIENT_KEY,
    fingerprint: true,
  }));
  equal(hex(bytes), CHECK);
  const message = decodeStun(bytes)!;
  equal(message.class, "request");
  equal(message.method, Method.BINDING);
  equal(hex(message.transactionId), hex(TRANSACTION));
  equal(message.username, "w7up:kwe6");
  equal(message.iceControlled, 0x0102030405060708n);
  equal(message.iceControlling, undefined);
  equal(message.priority, 1862270719);
  equal(message.useCandidate, false);
  ok(verifyIntegrity(message, CLIENT_KEY));
  ok(!verifyIntegrity(message, GATEWAY_KEY));
});

Deno.test("a client's nominating check is encoded as in the vector and decodes to its fields", () => {
  const bytes = encodeStun(init({
    class: "request",
    method: Method.BINDING,
    attributes: [
      [A.USERNAME, "kwe6:w7up"],
      [A.ICE_CONTROLLING, 0x1112131415161718n],
      [A.PRIORITY, 1862270719],
      [A.USE_CANDIDATE],
    ],
    integrityKey: GATEWAY_KEY,
    fingerprint: true,
  }));
  equal(hex(bytes), NOMINATION);
  const message = decodeStun(bytes)!;
  equal(message.useCandidate, true);
  equal(message.iceControlling, 0x1112131415161718n);
  ok(verifyIntegrity(message, GATEWAY_KEY));
});

Deno.test("a success reply is encoded as in the vector and decodes to the mapped address", () => {
  const address = SocketAddress.parse("203.0.113.7:52625")!;
  const bytes = encodeStun(init({
    class: "success",
    method: Method.BINDING,
    attributes: [[A.XOR_MAPPED_ADDRESS, address]],
    integrityKey: GATEWAY_KEY,
    fingerprint: true,
  }));
  equal(hex(bytes), SUCCESS);
  const message = decodeStun(bytes)!;
  equal(message.class, "success");
  equal(message.xorMappedAddress?.key, address.key);
  ok(verifyIntegrity(message, GATEWAY_KEY));
});

Deno.test("a first ALLOCATE is encoded as in the vector with the long-term key of the vector", () => {
  const username = "1735689600:uRn9aO+q3ZLJ+WSCwUd6KAg+lKk/p+EL5iN8qCTCKgY";
  const key = longTermKey(username, "firezone", "DBgRQ+vMxRs1fC3LOGO1K3i/CPHsyg+9szUtQTLzpGI");
  equal(hex(key), "8770c5d92f306b998b5d104507a6df5f");
  const bytes = encodeStun(init({
    class: "request",
    method: Method.ALLOCATE,
    attributes: [
      [A.REQUESTED_TRANSPORT, 17],
      [A.ADDITIONAL_ADDRESS_FAMILY, 6],
      [A.SOFTWARE, "snownet"],
      [A.USERNAME, username],
      [A.REALM, "firezone"],
    ],
    integrityKey: key,
  }));
  equal(hex(bytes), ALLOCATE);
  const message = decodeStun(bytes)!;
  equal(message.method, Method.ALLOCATE);
  equal(message.requestedTransport, 17);
  equal(message.additionalFamily, 6);
  equal(message.requestedFamily, undefined);
  equal(message.software, "snownet");
  equal(message.username, username);
  equal(message.realm, "firezone");
  equal(message.nonce, undefined);
  deepEqual(message.unknownRequired, []);
  ok(verifyIntegrity(message, key));
});

Deno.test("one changed bit anywhere before MESSAGE-INTEGRITY's end breaks it", () => {
  const valid = fromHex(CHECK);
  for (let i = 8; i < valid.length - 8; i++) {
    const changed = valid.slice();
    changed[i]! ^= 1;
    const message = decodeStun(changed);
    ok(!message || !verifyIntegrity(message, CLIENT_KEY), `byte ${i}`);
  }
});

/** RFC 5769 §2.2 and §2.3: sample IPv4 and IPv6 responses, independent of the vectors above. */
Deno.test("the sample responses of RFC 5769 decode and verify", () => {
  const key = shortTermKey("VOkJxbRl1RmTxUk/WvJxBt");
  const v4 = decodeStun(fromHex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643" +
      "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
  ))!;
  equal(v4.xorMappedAddress?.key, "192.0.2.1:32853");
  equal(v4.software, "test vector");
  ok(verifyIntegrity(v4, key));
  const v6 = decodeStun(fromHex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147" +
      "0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
  ))!;
  equal(v6.xorMappedAddress?.key, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
  ok(verifyIntegrity(v6, key));
});

Deno.test("messages share buffers, but no byte: what is made later leaves earlier ones as they are", () => {
  const message = (fill: number, length: number) =>
    encodeStun({
      class: "indication",
      method: Method.SEND,
      transactionId: new Uint8Array(12).fill(fill),
      attributes: [[A.DATA, new Uint8Array(length).fill(fill)]],
    });
  const lengths = [0, 1, 60, 100, 900, 1500, 5000];
  const all = Array.from({ length: 400 }, (_, i) => ({ i, bytes: message(i & 255, lengths[i % 7]!) }));
  for (const { i, bytes } of all) {
    equal(hex(bytes), hex(message(i & 255, lengths[i % 7]!)));
    equal(bytes.length, 20 + 4 + ((lengths[i % 7]! + 3) & ~3));
  }
});
