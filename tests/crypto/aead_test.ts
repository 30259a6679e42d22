import assert from "node:assert/strict";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { NobleAead } from "../../mod/crypto/noble_aead.ts";
import { NodeAead } from "../../mod/crypto/node_aead.ts";
import { SELF_TEST_LENGTH, selfTestAead } from "../../mod/crypto/self_test.ts";
import type { Aead, AeadKey } from "../../mod/crypto/types.ts";
import { AEAD_VECTORS, fromHex } from "../../mod/crypto/vectors.ts";
import { WasmAead } from "../../mod/crypto/wasm_aead.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { seededRandom } from "./random.ts";

const slab = new Slab(65536);
const scratch = slab.reserve(SELF_TEST_LENGTH);

Deno.test("the reference gives RFC 8439's own sealed message, additional data and tag included", () => {
  const { key, plaintext, sealed } = AEAD_VECTORS[1]!;
  const cipher = chacha20poly1305(
    key,
    fromHex("000000000102030405060708"),
    fromHex("f33388860000000000004e91"),
  );
  const tag = fromHex("eead9d67890cbb22392336fea1851f38");
  assert.deepEqual([...cipher.encrypt(plaintext)], [...sealed.subarray(0, plaintext.length), ...tag]);
});

for (const aead of [new NobleAead(slab), new NodeAead(slab), new WasmAead(slab)]) {
  Deno.test(`${aead.name} passes the self-test`, () => {
    assert.equal(selfTestAead(aead, slab, scratch, seededRandom()), undefined);
  });

  Deno.test(`${aead.name} refuses a key of the wrong length`, () => {
    assert.throws(() => aead.createKey(new Uint8Array(31)), RangeError);
  });

  Deno.test(`${aead.name} copies its key`, () => {
    const raw = seededRandom()(32);
    const key = aead.createKey(raw);
    raw.fill(0);
    key.seal(scratch, 5, 1, 2);
    key.free();
    key.free();
    const expected = slab.bytes.slice(scratch, scratch + 21);
    const again = aead.createKey(seededRandom()(32));
    assert.ok(again.open(scratch, 21, 1, 2));
    again.seal(scratch, 5, 1, 2);
    assert.deepEqual(slab.bytes.slice(scratch, scratch + 21), expected);
  });
}

/** A back end that works but for one defect. */
function defective(change: (key: AeadKey) => Partial<AeadKey>): Aead {
  const good = new NobleAead(slab);
  return {
    name: "defective",
    createKey(raw) {
      const key = good.createKey(raw);
      const whole: AeadKey = {
        seal: (...args) => key.seal(...args),
        open: (...args) => key.open(...args),
        free: () => key.free(),
      };
      return Object.assign(whole, change(key));
    },
  };
}

const DEFECTS: Record<string, [RegExp, (key: AeadKey) => Partial<AeadKey>]> = {
  "does nothing": [/wrong ciphertext/, () => ({ seal: () => {} })],
  "ignores the counter's upper half": [/wrong ciphertext/, (key) => ({
    seal: (offset, length, low) => key.seal(offset, length, low, 0),
  })],
  "accepts everything": [/forgery was accepted/, (key) => ({
    open: (...args) => (key.open(...args), true),
  })],
  "refuses everything": [/authentic message was refused/, () => ({ open: () => false })],
  "opens without decrypting": [/wrong plaintext/, () => ({ open: () => true })],
  "writes behind the message": [/sealing wrote outside/, (key) => ({
    seal(offset, length, low, high) {
      key.seal(offset, length, low, high);
      slab.bytes[offset + length + 16] = 0;
    },
  })],
  "writes before the message when opening": [/opening wrote outside/, (key) => ({
    open(offset, length, low, high) {
      slab.bytes[offset - 1] = 0;
      return key.open(offset, length, low, high);
    },
  })],
  "throws": [/^boom$/, () => ({
    open() {
      throw new Error("boom");
    },
  })],
  "opens messages too short for a tag": [/message of 0 bytes was opened/, (key) => ({
    open: (offset, length, low, high) => length < 16 || key.open(offset, length, low, high),
  })],
};

for (const [defect, [message, change]] of Object.entries(DEFECTS)) {
  Deno.test(`the self-test refuses a back end that ${defect}`, () => {
    assert.match(selfTestAead(defective(change), slab, scratch, seededRandom()) ?? "passed", message);
  });
}
