import assert from "node:assert/strict";
import * as fc from "fast-check";
import { frame, FrameReader } from "../../mod/dns/mod.ts";

Deno.test("messages come out whole however the stream was cut", () => {
  fc.assert(fc.property(
    fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 6 }),
    fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }),
    (messages, sizes) => {
      const stream = Uint8Array.from(messages.flatMap((message) => [...frame(message)]));
      const reader = new FrameReader(), out: Uint8Array[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length]!;
        reader.push(stream.subarray(at, at + size));
        at += size;
        for (let message = reader.next(); message; message = reader.next()) out.push(message);
      }
      assert.deepEqual(out, messages.map((message) => new Uint8Array(message)));
    },
  ));
});

Deno.test("the longest message has 65535 bytes", () => {
  const reader = new FrameReader();
  reader.push(frame(new Uint8Array(65535)));
  assert.equal(reader.next()?.length, 65535);
  assert.throws(() => frame(new Uint8Array(65536)), RangeError);
});
