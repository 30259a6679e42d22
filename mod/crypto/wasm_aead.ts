/**
 * ChaCha20-Poly1305 as WebAssembly SIMD over the slab's own memory: needs no library on the host and no foreign
 * call. The mechanism is described in `kernels/chacha20_poly1305.as`.
 *
 * Keys never lie in the slab: their words travel as arguments. The instance keeps a copy of the last key used until
 * another one is, or until that key is freed.
 */
import type { Slab } from "../packet/slab.ts";
import { checkKeyLength, KEY_LENGTH } from "./keys.ts";
import { CHACHA20_POLY1305_WASM } from "./kernels/chacha20_poly1305_wasm.ts";
import { TAG_LENGTH } from "./nonce.ts";
import type { Aead, AeadKey } from "./types.ts";

/** Key stream that waits for its place; zero between calls. */
const SCRATCH_LENGTH = 256;

interface Kernel {
  /** (offset, length without tag, scratch, eight key words, counter low, counter high) */
  seal(...words: number[]): void;
  /** As `seal`; 1 when authentic. */
  open(...words: number[]): number;
  wipe(): void;
}

/** What the keys of one slab share. */
interface Shared {
  readonly kernel: Kernel;
  readonly scratch: number;
  lastUsed: WasmKey | undefined;
}

export class WasmAead implements Aead {
  readonly name = "wasm";
  readonly #shared: Shared;

  /** Reserves {@link SCRATCH_LENGTH} bytes of the slab. */
  constructor(slab: Slab) {
    const binary = Uint8Array.from(atob(CHACHA20_POLY1305_WASM), (c) => c.charCodeAt(0));
    const instance = new WebAssembly.Instance(new WebAssembly.Module(binary), {
      env: { memory: slab.memory },
    });
    this.#shared = {
      kernel: instance.exports as unknown as Kernel,
      scratch: slab.reserve(SCRATCH_LENGTH),
      lastUsed: undefined,
    };
  }

  createKey(key: Uint8Array): AeadKey {
    checkKeyLength(key, "ChaCha20-Poly1305");
    return new WasmKey(this.#shared, key);
  }
}

class WasmKey implements AeadKey {
  readonly #shared: Shared;
  readonly #words = new Int32Array(KEY_LENGTH / 4);

  constructor(shared: Shared, key: Uint8Array) {
    this.#shared = shared;
    new Uint8Array(this.#words.buffer).set(key);
  }

  seal(offset: number, length: number, counterLow: number, counterHigh: number): void {
    const shared = this.#shared, k = this.#words;
    shared.lastUsed = this;
    shared.kernel.seal(
      offset,
      length,
      shared.scratch,
      k[0]!,
      k[1]!,
      k[2]!,
      k[3]!,
      k[4]!,
      k[5]!,
      k[6]!,
      k[7]!,
      counterLow,
      counterHigh,
    );
  }

  open(offset: number, length: number, counterLow: number, counterHigh: number): boolean {
    if (length < TAG_LENGTH) return false;
    const shared = this.#shared, k = this.#words;
    shared.lastUsed = this;
    return shared.kernel.open(
      offset,
      length - TAG_LENGTH,
      shared.scratch,
      k[0]!,
      k[1]!,
      k[2]!,
      k[3]!,
      k[4]!,
      k[5]!,
      k[6]!,
      k[7]!,
      counterLow,
      counterHigh,
    ) === 1;
  }

  free(): void {
    this.#words.fill(0);
    if (this.#shared.lastUsed === this) this.#shared.kernel.wipe();
  }
}
