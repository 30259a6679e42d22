import assert from "node:assert/strict";
import { type Candidate, chooseAead, chooseDh, NoBackEndError } from "../../mod/crypto/choose.ts";
import { NobleAead } from "../../mod/crypto/noble_aead.ts";
import { NobleDh } from "../../mod/crypto/noble_dh.ts";
import { NodeAead } from "../../mod/crypto/node_aead.ts";
import { NodeDh } from "../../mod/crypto/node_dh.ts";
import type { Aead } from "../../mod/crypto/types.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { seededRandom } from "./random.ts";

const slab = new Slab(4 * 65536);
const options = { slab, random: seededRandom() };
const missing: Candidate<Aead> = { name: "missing", create: () => null };
const throwing: Candidate<Aead> = {
  name: "throwing",
  create() {
    throw new Error("library too old");
  },
};
const broken: Candidate<Aead> = {
  name: "broken",
  create: () => ({ name: "broken", createKey: () => ({ seal() {}, open: () => true, free() {} }) }),
};
const node: Candidate<Aead> = { name: "node", create: () => new NodeAead(slab) };
const noble: Candidate<Aead> = { name: "noble", create: () => new NobleAead(slab) };

Deno.test("the first cipher that exists and passes is chosen, the others are named with their reason", () => {
  const { chosen, refused } = chooseAead([missing, throwing, broken, node, noble], options);
  assert.equal(chosen.name, "node");
  assert.deepEqual(refused.map(({ name }) => name), ["missing", "throwing", "broken"]);
  assert.equal(refused[0]!.reason, "not available on this machine");
  assert.equal(refused[1]!.reason, "library too old");
  assert.match(refused[2]!.reason, /^failed its self-test: a wrong ciphertext/);
});

Deno.test("a forced cipher is the only one considered", () => {
  assert.equal(chooseAead([node, noble], { ...options, forced: "noble" }).chosen.name, "noble");
  const forced = (name: string) => () => chooseAead([broken, missing, noble], { ...options, forced: name });
  assert.throws(
    forced("broken"),
    (error) => error instanceof NoBackEndError && /"broken": failed/.test(error.message),
  );
  assert.throws(forced("missing"), /not available on this machine\. Choose one of broken, missing, noble\./);
  assert.throws(forced("aes"), /there is none of that name/);
});

Deno.test("no cipher that works is an error that says why", () => {
  assert.throws(
    () => chooseAead([missing, throwing], options),
    /missing: not available .*; throwing: library too old/,
  );
  assert.throws(() => chooseAead([], options), NoBackEndError);
});

Deno.test("X25519 is chosen by the same rules", () => {
  const candidates = [{ name: "none", create: () => null }, { name: "node", create: () => new NodeDh() }, {
    name: "noble",
    create: () => new NobleDh(),
  }];
  assert.equal(chooseDh(candidates).chosen.name, "node");
  assert.equal(chooseDh(candidates, "noble").chosen.name, "noble");
  assert.throws(() => chooseDh(candidates, "none"), NoBackEndError);
});
