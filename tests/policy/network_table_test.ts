import { strict as assert } from "node:assert";
import fc from "fast-check";
import { type NetworkEntry, NetworkTable } from "../../mod/policy/network_table.ts";
import { wordsOf } from "../../mod/policy/words.ts";

/** Values of the networks around the address, narrowest first, each network's in the order given. */
function covering(table: NetworkTable<number>, ip: Uint8Array): number[] {
  const [a, b, c, d] = wordsOf(ip)!;
  const values: number[] = [];
  let node = ip.length === 4 ? table.find4(a) : table.find6(a, b, c, d);
  for (; node >= 0; node = table.parents[node]!) values.push(...table.values[node]!);
  return values;
}

function contains(entry: NetworkEntry<number>, ip: Uint8Array): boolean {
  const bits = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits(entry.ip).slice(0, entry.prefix) === bits(ip).slice(0, entry.prefix);
}

/** Few distinct bits, so that networks nest, touch and repeat often. */
function address(length: number) {
  const byte = fc.constantFrom(0, 1, 2, 127, 128, 254, 255);
  return fc.array(byte, { minLength: length, maxLength: length }).map((bytes) => Uint8Array.from(bytes));
}

for (const width of [1, 4] as const) {
  const length = 4 * width;
  const network = fc.record({ ip: address(length), prefix: fc.integer({ min: 0, max: 8 * length }) });
  Deno.test(`an IPv${width === 1 ? 4 : 6} lookup finds exactly the covering networks, narrowest first`, () => {
    fc.assert(
      fc.property(
        fc.array(network, { maxLength: 30 }),
        fc.array(address(length), { maxLength: 20 }),
        (list, ips) => {
          const entries = list.map((entry, value) => ({ ...entry, value }));
          const table = new NetworkTable<number>(width, entries);
          for (
            const ip of [...ips, ...list.map((entry) => entry.ip)]
          ) {
            const expected = entries.filter((entry) => contains(entry, ip)).sort((a, b) =>
              b.prefix - a.prefix
            );
            assert.deepEqual(
              covering(table, ip),
              expected.map((entry) => entry.value),
            );
          }
        },
      ),
      { numRuns: 200 },
    );
  });
}

Deno.test("an empty table covers nothing, and a default route everything", () => {
  assert.equal(new NetworkTable<number>(1, []).find4(0), -1);
  const table = new NetworkTable<number>(4, [{ ip: new Uint8Array(16), prefix: 0, value: 1 }]);
  assert.equal(table.find6(0, 0, 0, 0), 0);
  assert.equal(table.find6(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff), 0);
});

Deno.test("the ends of the address space belong to the networks there", () => {
  const entry = (text: number[], prefix: number, value: number) => ({
    ip: Uint8Array.from(text),
    prefix,
    value,
  });
  const table = new NetworkTable<number>(1, [entry([0, 0, 0, 0], 32, 1), entry([255, 255, 255, 255], 32, 2)]);
  assert.deepEqual(covering(table, Uint8Array.of(0, 0, 0, 0)), [1]);
  assert.deepEqual(covering(table, Uint8Array.of(0, 0, 0, 1)), []);
  assert.deepEqual(covering(table, Uint8Array.of(255, 255, 255, 254)), []);
  assert.deepEqual(covering(table, Uint8Array.of(255, 255, 255, 255)), [2]);
});

Deno.test("impossible networks are refused", () => {
  for (const [bytes, prefix] of [[4, 33], [4, -1], [16, 1], [4, NaN]] as const) {
    assert.throws(
      () => new NetworkTable<number>(1, [{ ip: new Uint8Array(bytes), prefix, value: 0 }]),
      RangeError,
    );
  }
});
