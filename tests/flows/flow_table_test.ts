import assert from "node:assert/strict";
import fc from "fast-check";
import {
  FLOW_TCP,
  FLOW_UDP,
  FLOW_V6,
  FlowTable,
  LAST,
  TX_BYTES,
  TX_PACKETS,
} from "../../mod/flows/flow_table.ts";

const KEYS = [FLOW_TCP, FLOW_UDP, FLOW_TCP | FLOW_V6, FLOW_UDP | FLOW_V6];

/** Few values each, so that keys meet again and their chains run into each other. */
const key = fc.tuple(fc.constantFrom(...KEYS), fc.nat(3), fc.nat(2), fc.nat(2));
const step = fc.record({ remove: fc.boolean(), key });

Deno.test("property: the table knows exactly what was added and not removed, in any order", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), fc.integer(), (steps, seed) => {
    const table = new FlowTable(16, seed);
    const model = new Map<string, number>();
    for (const { remove, key: [kind, port, client, remote] } of steps) {
      const addresses = Uint32Array.of(client, 0, 0, client, remote, 0, remote, 7);
      const name = `${kind} ${port} ${client} ${remote}`;
      const found = table.find(kind, port << 28, addresses, 0, 4);
      assert.equal(found, model.get(name) ?? -1);
      if (found >= 0 && remove) {
        table.remove(found);
        model.delete(name);
      } else if (found < 0 && !remove) {
        const added = table.add(kind, port << 28, addresses, 0, 4);
        assert.equal(added >= 0, model.size < 16);
        if (added >= 0) model.set(name, added);
      }
      assert.equal(table.size, model.size);
    }
    for (const record of model.values()) assert.notEqual(table.meta(record), 0);
  }));
});

Deno.test("a record used again starts from nothing", () => {
  const table = new FlowTable(2, 1);
  const addresses = Uint32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const first = table.add(FLOW_TCP, 1, addresses, 0, 4);
  table.count(first, TX_PACKETS, 3, 3000, 17);
  table.setState(first, 1 << 6);
  table.remove(first);
  const second = table.add(FLOW_TCP, 2, addresses, 0, 4);
  assert.equal(second, first);
  assert.deepEqual([LAST, TX_PACKETS, TX_BYTES].map((number) => table.get(second, number)), [0, 0, 0]);
  assert.equal(table.meta(second) & (1 << 6), 0);
});
