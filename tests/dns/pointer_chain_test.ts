import { strict as assert } from "node:assert";
import { readName } from "../../mod/dns/name.ts";

const HEADER = 12;

/** Behind a header a label, then pointers that each lead to the one before, the first to `target`. */
function chain(pointers: number, target = HEADER): Uint8Array {
  const bytes = new Uint8Array(HEADER + 3 + 2 * pointers);
  bytes.set([1, 0x61, 0], HEADER);
  for (let i = 0; i < pointers; i++) {
    const to = i === 0 ? target : HEADER + 3 + 2 * (i - 1);
    bytes.set([0xc0 | to >> 8, to & 255], HEADER + 3 + 2 * i);
  }
  return bytes;
}

Deno.test("a name behind more pointers than a name can have labels is refused: reading it would be the sender's lever", () => {
  const read = (pointers: number) => readName(chain(pointers), HEADER + 3 + 2 * (pointers - 1))?.text;
  assert.equal(read(1), "a");
  assert.equal(read(127), "a");
  assert.equal(read(128), undefined);
  assert.equal(read(8000), undefined);
});

Deno.test("a pointer into the header is refused: the name would change with the answer's flags and counts", () => {
  for (let target = 0; target < HEADER; target++) {
    assert.equal(readName(chain(1, target), HEADER + 3), undefined);
  }
});
