import { equal } from "node:assert/strict";
import fc from "fast-check";
import { AddressTable } from "../../mod/embedded/relay/address_table.ts";

const record = fc.tuple(
  fc.integer({ min: 0, max: 2 }),
  fc.integer({ min: 0, max: 40 }),
  fc.constantFrom(0, 1, 0xffffffff),
);
const operation = fc.tuple(fc.constantFrom("set", "delete", "get"), record);

Deno.test("an address table does what a map does, through growth and deletions", () => {
  fc.assert(fc.property(fc.array(operation, { maxLength: 400 }), fc.nat(), (operations, seed) => {
    const table = new AddressTable<number>(seed), model = new Map<string, number>();
    const words = new Uint32Array(7);
    operations.forEach(([name, [prefix, low, high]], i) => {
      words.fill(0);
      words[2] = low;
      words[6] = high;
      const key = `${prefix} ${low} ${high}`;
      if (name === "set") {
        table.set(prefix, words, 2, i);
        model.set(key, i);
      } else if (name === "delete") {
        table.delete(prefix, words, 2);
        model.delete(key);
      }
      equal(table.get(prefix, words, 2), model.get(key));
      equal(table.size, model.size);
    });
    for (const [key, value] of model) {
      const [prefix, low, high] = key.split(" ").map(Number);
      words.fill(0);
      words[2] = low!;
      words[6] = high!;
      equal(table.get(prefix!, words, 2), value);
    }
  }));
});
