/**
 * The test that a back end must pass at every start before it may touch a packet: a wrong library, a miscompiled
 * kernel or a mis-declared foreign function must end here and not on the wire. It takes a few milliseconds.
 *
 * AEAD: known answers; random messages around every block boundary against the reference, with the bytes on both
 * sides guarded; forgeries of text, tag and counter; messages too short to hold a tag. X25519: RFC 7748's exchange
 * and every point of low order. Single messages: RFC 8439's, and each of its bytes forged.
 */
import type { Slab } from "../packet/slab.ts";
import { KEY_LENGTH } from "./keys.ts";
import { NobleAead } from "./noble_aead.ts";
import { TAG_LENGTH } from "./nonce.ts";
import type { Aead, AeadKey, Dh, RandomBytes, Sealer } from "./types.ts";
import { AEAD_VECTORS, LOW_ORDER_POINTS, SEALER_VECTOR, X25519_VECTOR } from "./vectors.ts";

/** Slab bytes that {@link selfTestAead} works in, 64-aligned. */
export const SELF_TEST_LENGTH = 4096;
const MARGIN = 64;
const GUARD = 0xa5;
/** Around the blocks of Poly1305 (16), ChaCha20 (64) and of wide kernels (256, 512), and around a full packet. */
const LENGTHS: readonly number[] = [
  ...[0, 1, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256, 257],
  ...[320, 383, 384, 385, 511, 512, 513, 767, 768, 1023, 1024, 1025, 1264, 1279, 1280, 1281, 1420],
];

/**
 * Runs the AEAD test in slab[scratch, scratch + SELF_TEST_LENGTH). Undefined when passed, else what went wrong.
 * Errors thrown by the back end are failures too.
 */
export function selfTestAead(
  aead: Aead,
  slab: Slab,
  scratch: number,
  random: RandomBytes,
): string | undefined {
  const test = new AeadTest(aead, slab, scratch + MARGIN);
  try {
    return test.knownAnswers() ?? test.comparison(random) ?? test.shortMessages();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Undefined when X25519 works, else what went wrong. */
export function selfTestDh(dh: Dh): string | undefined {
  const { alicePrivate, alicePublic, bobPrivate, bobPublic, shared } = X25519_VECTOR;
  try {
    if (!equal(dh.publicKey(alicePrivate), alicePublic)) return "a wrong public key";
    for (const [own, peer] of [[alicePrivate, bobPublic], [bobPrivate, alicePublic]] as const) {
      const secret = dh.sharedSecret(own, peer);
      if (!secret || !equal(secret, shared)) return "a wrong shared secret";
    }
    for (const point of LOW_ORDER_POINTS) {
      if (dh.sharedSecret(alicePrivate, point) !== undefined) return "a point of low order was accepted";
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Undefined when single messages are sealed and opened as they should, else what went wrong. */
export function selfTestSealer(sealer: Sealer): string | undefined {
  const { key, nonce, additional, plaintext, sealed } = SEALER_VECTOR;
  try {
    if (!equal(sealer.seal(key, nonce, additional, plaintext), sealed)) return "a wrong ciphertext";
    const opened = sealer.open(key, nonce, additional, sealed);
    if (!opened || !equal(opened, plaintext)) return "a wrong plaintext";
    for (let i = 0; i < sealed.length; i++) {
      if (sealer.open(key, nonce, additional, sealed.with(i, sealed[i]! ^ 1))) return "a forgery was opened";
    }
    if (sealer.open(key, nonce, additional.with(0, 0), sealed)) return "wrong additional data were accepted";
    if (sealer.open(key, nonce, additional, sealed.subarray(0, 15))) {
      return "a message without tag was opened";
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

class AeadTest {
  readonly #reference: Aead;

  constructor(readonly aead: Aead, readonly slab: Slab, readonly at: number) {
    this.#reference = new NobleAead(slab);
  }

  knownAnswers(): string | undefined {
    for (const { name, key, counterLow, counterHigh, plaintext, sealed } of AEAD_VECTORS) {
      const own = this.aead.createKey(key);
      const wrong = this.#roundTrip(own, plaintext, sealed, counterLow, counterHigh);
      own.free();
      if (wrong) return `${wrong} (${name})`;
    }
    return undefined;
  }

  comparison(random: RandomBytes): string | undefined {
    const key = random(KEY_LENGTH);
    const own = this.aead.createKey(key), reference = this.#reference.createKey(key);
    try {
      for (const length of LENGTHS) {
        const plaintext = random(length);
        const counters = new DataView(random(8).buffer);
        const low = counters.getUint32(0), high = counters.getUint32(4);
        this.#place(plaintext);
        reference.seal(this.at, length, low, high);
        const sealed = this.#taken(length + TAG_LENGTH);
        const wrong = this.#roundTrip(own, plaintext, sealed, low, high) ??
          this.#forgeries(own, sealed, low, high);
        if (wrong) return `${wrong} (${length} bytes)`;
      }
      return undefined;
    } finally {
      own.free();
      reference.free();
    }
  }

  shortMessages(): string | undefined {
    const key = this.aead.createKey(new Uint8Array(KEY_LENGTH));
    try {
      for (let length = 0; length < TAG_LENGTH; length++) {
        this.#place(new Uint8Array(length));
        if (key.open(this.at, length, 0, 0)) return `a message of ${length} bytes was opened`;
      }
      return undefined;
    } finally {
      key.free();
    }
  }

  #roundTrip(
    key: AeadKey,
    plaintext: Uint8Array,
    sealed: Uint8Array,
    low: number,
    high: number,
  ): string | undefined {
    this.#place(plaintext);
    key.seal(this.at, plaintext.length, low, high);
    if (!equal(this.#taken(sealed.length), sealed)) return "a wrong ciphertext or tag";
    if (!this.#isGuarded(sealed.length)) return "sealing wrote outside the message";
    this.#place(sealed);
    if (!key.open(this.at, sealed.length, low, high)) return "an authentic message was refused";
    if (!equal(this.#taken(plaintext.length), plaintext)) return "a wrong plaintext";
    if (!this.#isGuarded(sealed.length)) return "opening wrote outside the message";
    return undefined;
  }

  #forgeries(key: AeadKey, sealed: Uint8Array, low: number, high: number): string | undefined {
    for (const place of [0, sealed.length - TAG_LENGTH, sealed.length - 1]) {
      const forged = sealed.slice();
      forged[place]! ^= 1 << (place & 7);
      this.#place(forged);
      if (key.open(this.at, forged.length, low, high)) return "a forgery was accepted";
    }
    this.#place(sealed);
    if (key.open(this.at, sealed.length, low ^ 1, high)) return "a wrong counter was accepted";
    this.#place(sealed);
    if (key.open(this.at, sealed.length, low, high ^ 1)) return "a wrong counter (upper half) was accepted";
    return undefined;
  }

  #place(message: Uint8Array): void {
    const { bytes } = this.slab;
    bytes.fill(GUARD, this.at - MARGIN, this.at - MARGIN + SELF_TEST_LENGTH);
    bytes.set(message, this.at);
  }

  #taken(length: number): Uint8Array {
    return this.slab.bytes.slice(this.at, this.at + length);
  }

  #isGuarded(length: number): boolean {
    const { bytes } = this.slab;
    const before = bytes.subarray(this.at - MARGIN, this.at);
    const behind = bytes.subarray(this.at + length, this.at - MARGIN + SELF_TEST_LENGTH);
    return before.every((b) => b === GUARD) && behind.every((b) => b === GUARD);
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
