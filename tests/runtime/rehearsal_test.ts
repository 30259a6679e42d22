import assert from "node:assert/strict";
import { NobleAead, NobleDh } from "../../mod/crypto/mod.ts";
import type { Aead } from "../../mod/crypto/types.ts";
import { Slab } from "../../mod/packet/mod.ts";
import { rehearse } from "../../mod/runtime/rehearsal.ts";
import { seededRandom } from "../portal/support.ts";

Deno.test("the rehearsal plays to its end, a packet each way, and leaves no key and little memory behind", () => {
  const slab = new Slab(1 << 17);
  const noble = new NobleAead(slab);
  let keys = 0, sealed = 0, opened = 0;
  const aead: Aead = {
    name: "counting",
    createKey(bytes) {
      const key = noble.createKey(bytes);
      let isFree = false;
      keys++;
      return {
        seal: (...at) => (sealed++, key.seal(...at)),
        open: (...at) => (opened++, key.open(...at)),
        free() {
          if (!isFree) keys--;
          isFree = true;
          key.free();
        },
      };
    },
  };
  const free = slab.bytes.length - slab.reserve(64);
  assert.equal(rehearse({ slab, aead, dh: new NobleDh(), sealer: undefined, random: seededRandom(3) }), true);
  assert.ok(sealed >= 6 && opened >= 6, `${sealed} sealed, ${opened} opened`);
  assert.equal(keys, 0);
  assert.ok(free - (slab.bytes.length - slab.reserve(64)) < 8_192);
});
