/** What sealing, opening and key agreement cost with each back end of this machine, single thread, JIT-warm. */
import { createLibcryptoAead } from "../../ffi/crypto_libcrypto.ts";
import { createLibcryptoDh } from "../../ffi/crypto_libcrypto_dh.ts";
import { NobleAead, NobleDh, NodeAead, NodeDh, WasmAead } from "../../mod/crypto/mod.ts";
import type { Aead, Dh } from "../../mod/crypto/mod.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { type Figure, measure } from "./figure.ts";

const STRIDE = 1472, SLOTS = 32;
const slab = new Slab(1 << 20);
const area = slab.reserve(SLOTS * STRIDE);

function aeadFigures(aead: Aead): Figure[] {
  const key = aead.createKey(new Uint8Array(32).fill(7));
  return [64, 1280].flatMap((length) => {
    const seal = measure(`crypto.${aead.name}.seal.${length}`, () => {
      for (let i = 0; i < SLOTS; i++) key.seal(area + i * STRIDE, length, i, 0);
    }, SLOTS);
    // Opening replaces the ciphertext, so it is measured together with the seal that makes it again.
    const both = measure("", () => {
      for (let i = 0; i < SLOTS; i++) key.seal(area + i * STRIDE, length, i, 0);
      for (let i = 0; i < SLOTS; i++) {
        if (!key.open(area + i * STRIDE, length + 16, i, 0)) {
          throw new Error(`${aead.name} refused its own message.`);
        }
      }
    }, SLOTS);
    return [seal, { name: `crypto.${aead.name}.open.${length}`, value: both.value - seal.value, unit: "ns" }];
  });
}

function dhFigure(dh: Dh): Figure {
  const own = new Uint8Array(32).fill(9), peer = dh.publicKey(new Uint8Array(32).fill(5));
  return measure(`crypto.${dh.name}.x25519`, () => void dh.sharedSecret(own, peer));
}

export function figures(): Figure[] {
  const aeads = [createLibcryptoAead(slab), new WasmAead(slab), new NodeAead(slab), new NobleAead(slab)];
  const dhs = [createLibcryptoDh(), new NodeDh(), new NobleDh()];
  return [
    ...aeads.flatMap((aead) => aead === null ? [] : aeadFigures(aead)),
    ...dhs.flatMap((dh) => dh === null ? [] : [dhFigure(dh)]),
  ];
}
