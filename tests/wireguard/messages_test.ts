import assert from "node:assert/strict";
import fc from "fast-check";
import { classify, MessageType } from "../../mod/wireguard/mod.ts";

const message = (type: number, length: number) => {
  const bytes = new Uint8Array(length);
  bytes[0] = type;
  return bytes;
};

Deno.test("each message is known by its type and exact length; only transport messages vary", () => {
  assert.equal(classify(message(1, 148)), MessageType.Initiation);
  assert.equal(classify(message(2, 92)), MessageType.Response);
  assert.equal(classify(message(3, 64)), MessageType.CookieReply);
  for (const length of [32, 33, 48, 1312]) assert.equal(classify(message(4, length)), MessageType.Transport);
  for (
    const [type, length] of [[1, 147], [1, 149], [2, 91], [2, 148], [3, 63], [3, 65], [4, 31], [0, 148], [
      5,
      64,
    ]]
  ) {
    assert.equal(classify(message(type!, length!)), MessageType.None, `type ${type}, ${length} bytes`);
  }
});

Deno.test("the reserved bytes are zero", () => {
  for (const at of [1, 2, 3]) assert.equal(classify(message(4, 32).with(at, 1)), MessageType.None);
});

Deno.test("a message in the middle of a buffer is classified in place", () => {
  const buffer = new Uint8Array(300);
  buffer[100] = 2;
  assert.equal(classify(buffer, 100, 92), MessageType.Response);
  assert.equal(classify(buffer, 100, 93), MessageType.None);
});

Deno.test("any bytes are classified without a throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.ok(classify(bytes) >= 0 && classify(bytes) <= 4);
  }));
});
