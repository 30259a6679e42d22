import assert from "node:assert/strict";
import * as fc from "fast-check";
import { encodeName, type KnownNames, readName } from "../../mod/dns/mod.ts";

const bytes = (...values: (number | string)[]) =>
  Uint8Array.from(values.flatMap((v) => typeof v === "number" ? [v] : [...new TextEncoder().encode(v)]));

Deno.test("a name is read in lower case and without its last dot; the root is empty", () => {
  const wire = bytes(3, "App", 7, "eXample", 3, "com", 0, 9);
  assert.deepEqual(readName(wire, 0), { text: "app.example.com", end: 17 });
  assert.deepEqual(readName(bytes(0), 0), { text: "", end: 1 });
});

/** Behind a header: nothing may point into that. */
const HEADER = 12;
const read = (wire: Uint8Array, offset: number) =>
  readName(Uint8Array.from([...new Uint8Array(HEADER), ...wire]), HEADER + offset);

Deno.test("compression pointers are followed backwards, and the name ends behind the first one", () => {
  const wire = bytes(7, "example", 3, "com", 0, 3, "app", 0xc0, HEADER, 1, "x", 0xc0, HEADER + 13);
  assert.deepEqual(read(wire, 13), { text: "app.example.com", end: HEADER + 19 });
  assert.deepEqual(read(wire, 19), { text: "x.app.example.com", end: HEADER + 23 });
});

Deno.test("pointers to themselves, forwards or in circles are no names", () => {
  assert.equal(read(bytes(0xc0, HEADER), 0), undefined);
  assert.equal(read(bytes(0xc0, HEADER + 2, 0), 0), undefined);
  assert.equal(read(bytes(0, 1, "a", 0xc0, HEADER + 5, 0xc0, HEADER + 1), 5), undefined);
  assert.equal(read(bytes(1, "a", 0xc0, HEADER), 0), undefined);
  assert.equal(read(bytes(0xc0), 0), undefined);
  assert.equal(read(bytes(0x80, 1, 0), 0), undefined);
  assert.equal(read(bytes(0x40, 1, 0), 0), undefined);
});

Deno.test("labels above 63 and names above 255 bytes are refused both ways", () => {
  const label = "a".repeat(63);
  assert.equal(encodeName(`${label}a.com`), undefined);
  const longest = [label, label, label, "b".repeat(61)].join(".");
  assert.equal(encodeName(longest)?.length, 255);
  assert.equal(readName(encodeName(longest)!, 0)?.text, longest);
  assert.equal(encodeName(`${longest}b`), undefined);
  const tooLong = Uint8Array.from([...encodeName(longest)!.subarray(0, 254), 1, 0x61, 0]);
  assert.equal(readName(tooLong, 0), undefined);
  for (const text of ["a..b", ".a", "a.", "a b", "ä", "\\1", "\\999"]) {
    assert.equal(encodeName(text), undefined, text);
  }
});

Deno.test("any labels come back as they were but for their case, whatever bytes they are made of", () => {
  const label = fc.uint8Array({ minLength: 1, maxLength: 20 });
  const lower = (byte: number) => byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  fc.assert(fc.property(fc.array(label, { maxLength: 8 }), (labels) => {
    const wire = Uint8Array.from([...labels.flatMap((l) => [l.length, ...l]), 0]);
    const lowered = Uint8Array.from([...labels.flatMap((l) => [l.length, ...l.map(lower)]), 0]);
    const name = readName(wire, 0)!;
    assert.equal(name.end, wire.length);
    assert.deepEqual(encodeName(name.text), lowered);
  }));
});

Deno.test("names that were read before are read alike again, only faster", () => {
  const part = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 5 }).map((l) => [l.length, ...l]),
    fc.constant([0]),
    fc.nat(90).map((target) => [0xc0, target]),
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 40 }),
      fc.array(fc.nat(120), { maxLength: 20 }),
      (parts, offsets) => {
        const wire = Uint8Array.from([...new Uint8Array(HEADER), ...parts.flat()]),
          known: KnownNames = new Map();
        for (const offset of offsets) assert.deepEqual(readName(wire, offset, known), readName(wire, offset));
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("any bytes at any offset: a name or nothing, never a throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(310), (wire, at) => {
    const name = readName(wire, at);
    if (name) assert.ok(name.end <= wire.length);
  }));
});
