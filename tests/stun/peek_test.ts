import assert from "node:assert/strict";
import fc from "fast-check";
import {
  AttributeType,
  decodeStun,
  encodeStun,
  fragmentHashOf,
  hashFragment,
  isStunIndication,
  isStunRequest,
  looksLikeStun,
  Method,
  type StunAttribute,
} from "../../mod/stun/mod.ts";

const attribute: fc.Arbitrary<StunAttribute> = fc.oneof(
  fc.string({ maxLength: 12 }).map((text) => [AttributeType.SOFTWARE, text] as const),
  fc.nat().map((value) => [AttributeType.PRIORITY, value] as const),
  fc.constant([AttributeType.USE_CANDIDATE] as const),
);
const message = fc.record({
  class: fc.constantFrom("request", "indication", "success", "error"),
  method: fc.integer({ min: 1, max: 0xfff }),
  transactionId: fc.uint8Array({ minLength: 12, maxLength: 12 }),
  attributes: fc.array(attribute, { maxLength: 4 }),
  fingerprint: fc.boolean(),
});

Deno.test("a look at a message tells what decoding it would: its class, and the fragment that it is for", () => {
  const name = fc.tuple(fc.string({ minLength: 1 }), fc.string()).filter(([own]) => !own.includes(":"));
  fc.assert(fc.property(message, name, fc.nat(4), fc.nat(9), (init, [own, peer], place, offset) => {
    const attributes = init.attributes.toSpliced(place, 0, [AttributeType.USERNAME, `${own}:${peer}`]);
    const bytes = encodeStun({ ...init, attributes });
    const framed = new Uint8Array(offset + bytes.length + 3).fill(0xff);
    framed.set(bytes, offset);
    const decoded = decodeStun(bytes)!;
    assert.equal(looksLikeStun(framed, offset, bytes.length), true);
    assert.equal(isStunRequest(framed, offset), decoded.class === "request");
    assert.equal(isStunIndication(framed, offset), decoded.class === "indication");
    assert.equal(
      fragmentHashOf(framed, offset, bytes.length),
      hashFragment(decoded.username!.split(":", 1)[0]!),
    );
  }));
});

Deno.test("a message without user name has no fragment, and one cut short has none that is not there", () => {
  const transactionId = new Uint8Array(12);
  const without = encodeStun({ class: "request", method: Method.BINDING, transactionId, attributes: [] });
  assert.equal(fragmentHashOf(without, 0, without.length), -1);
  const whole = encodeStun({
    class: "request",
    method: Method.BINDING,
    transactionId,
    attributes: [[AttributeType.PRIORITY, 1], [AttributeType.USERNAME, "abcd:efgh"]],
  });
  for (let length = 20; length < whole.length - 3; length++) {
    assert.equal(fragmentHashOf(whole, 0, length), -1, `${length}`);
  }
});

Deno.test("any bytes are looked at without an error", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 20, maxLength: 200 }), (bytes) => {
    fragmentHashOf(bytes, 0, bytes.length);
    isStunRequest(bytes, 0);
    isStunIndication(bytes, 0);
  }));
});
