import assert from "node:assert/strict";
import { NobleDh } from "../../mod/crypto/noble_dh.ts";
import { NodeDh } from "../../mod/crypto/node_dh.ts";
import { selfTestDh } from "../../mod/crypto/self_test.ts";
import type { Dh } from "../../mod/crypto/types.ts";
import { LOW_ORDER_POINTS, X25519_VECTOR } from "../../mod/crypto/vectors.ts";
import { seededRandom } from "./random.ts";

for (const dh of [new NobleDh(), new NodeDh()]) {
  Deno.test(`${dh.name} X25519 passes the self-test: RFC 7748's exchange, no low-order point`, () => {
    assert.equal(selfTestDh(dh), undefined);
  });

  Deno.test(`${dh.name} X25519 refuses keys of the wrong length`, () => {
    const good = X25519_VECTOR.alicePrivate;
    assert.throws(() => dh.publicKey(new Uint8Array(31)), RangeError);
    assert.throws(() => dh.sharedSecret(new Uint8Array(33), good), RangeError);
    assert.throws(() => dh.sharedSecret(good, new Uint8Array()), RangeError);
  });

  Deno.test(`${dh.name} X25519 sees a key that was overwritten in its array`, () => {
    const key = X25519_VECTOR.alicePrivate.slice();
    assert.deepEqual(dh.publicKey(key), X25519_VECTOR.alicePublic);
    key.set(X25519_VECTOR.bobPrivate);
    assert.deepEqual(dh.publicKey(key), X25519_VECTOR.bobPublic);
    assert.deepEqual(dh.sharedSecret(key, X25519_VECTOR.alicePublic), X25519_VECTOR.shared);
  });
}

Deno.test("node and noble agree on random keys", () => {
  const random = seededRandom(7), node = new NodeDh(), noble = new NobleDh();
  for (let i = 0; i < 5; i++) {
    const [own, peer] = [random(32), random(32)];
    assert.deepEqual(node.publicKey(own), noble.publicKey(own));
    assert.deepEqual(node.sharedSecret(own, peer), noble.sharedSecret(own, peer));
  }
});

Deno.test("the self-test refuses an X25519 that is wrong, accepts low order, or throws", () => {
  const good = new NodeDh();
  const isLow = (point: Uint8Array) => LOW_ORDER_POINTS.includes(point);
  const variants: [RegExp, Partial<Dh>][] = [
    [/wrong public key/, { publicKey: () => new Uint8Array(32) }],
    [/wrong shared secret/, { sharedSecret: () => undefined }],
    [/low order/, {
      sharedSecret: (own, peer) => isLow(peer) ? new Uint8Array(32) : good.sharedSecret(own, peer),
    }],
    [/^boom$/, {
      sharedSecret() {
        throw new Error("boom");
      },
    }],
  ];
  for (const [message, change] of variants) {
    const dh: Dh = {
      name: "x",
      publicKey: (key) => good.publicKey(key),
      sharedSecret: (own, peer) => good.sharedSecret(own, peer),
      ...change,
    };
    assert.match(selfTestDh(dh) ?? "passed", message);
  }
});
