import { strict as assert } from "node:assert";
import { readName } from "../../mod/dns/name.ts";

/** A label, then pointers that each lead to the one before. */
function chain(pointers: number): Uint8Array {
  const bytes = new Uint8Array(3 + 2 * pointers);
  bytes.set([1, 0x61, 0]);
  for (let i = 0; i < pointers; i++) {
    const to = i === 0 ? 0 : 3 + 2 * (i - 1);
    bytes.set([0xc0 | to >> 8, to & 255], 3 + 2 * i);
  }
  return bytes;
}

Deno.test("a name behind more pointers than a name can have labels is refused: reading it would be the sender's lever", () => {
  const read = (pointers: number) => readName(chain(pointers), 3 + 2 * (pointers - 1))?.text;
  assert.equal(read(1), "a");
  assert.equal(read(127), "a");
  assert.equal(read(128), undefined);
  assert.equal(read(8000), undefined);
});
