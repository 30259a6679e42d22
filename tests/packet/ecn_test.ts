import assert from "node:assert/strict";
import { sumBytes } from "../../mod/packet/checksum.ts";
import { ECN_CE, ECN_ECT0, ECN_ECT1, ECN_NOT_ECT, ecnOf, mergeEcn } from "../../mod/packet/ecn.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { packet } from "./build.ts";

const slab = new Slab(65536);

for (const dst of ["10.0.0.2", "2001:db8::9"]) {
  Deno.test(`congestion outside marks only an ECN-capable inner packet, to ${dst}`, () => {
    for (const outer of [ECN_NOT_ECT, ECN_ECT1, ECN_ECT0, ECN_CE]) {
      for (const inner of [ECN_NOT_ECT, ECN_ECT1, ECN_ECT0, ECN_CE]) {
        const before = packet({ dst, tos: 0xb8 | inner, flowLabel: 0xfffff });
        const capable = inner === ECN_ECT0 || inner === ECN_ECT1;
        const expected = outer === ECN_CE && capable ? ECN_CE : inner;
        slab.bytes.set(before, 101);
        mergeEcn(slab, 101, outer);
        assert.equal(ecnOf(slab.bytes, 101), expected);
        assert.deepEqual(
          slab.bytes.slice(101, 101 + before.length),
          packet({ dst, tos: 0xb8 | expected, flowLabel: 0xfffff }),
        );
      }
    }
  });
}

Deno.test("a wrong IPv4 header checksum stays wrong", () => {
  const bytes = packet({ tos: ECN_ECT0 });
  bytes[10]! ^= 1;
  slab.bytes.set(bytes, 64);
  mergeEcn(slab, 64, ECN_CE);
  assert.notEqual(sumBytes(slab.bytes, 64, 20), 0xffff);
});
