/**
 * Address records that were read lately, as values: what a thousand peers send by turns is read once each. A table of
 * fixed size, each address in one possible place; a flood of new senders costs the others only that they are read
 * again.
 */
import { ADDRESS_RECORD_SIZE, readAddressRecord, type SocketAddress } from "./address.ts";
import type { Slab } from "./slab.ts";

const SLOTS = 2048;
const RECORD_WORDS = ADDRESS_RECORD_SIZE / 4;

export class AddressCache {
  readonly #slab: Slab;
  readonly #records = new Uint32Array(SLOTS * RECORD_WORDS);
  readonly #addresses: (SocketAddress | undefined)[] = new Array(SLOTS).fill(undefined);

  constructor(slab: Slab) {
    this.#slab = slab;
  }

  /** As `readAddressRecord`: the address in the record at `offset`, undefined when it is empty. */
  read(offset: number): SocketAddress | undefined {
    const { words } = this.#slab, from = offset >> 2;
    let hash = 0;
    for (let i = 0; i < RECORD_WORDS; i++) hash = Math.imul(hash ^ words[from + i]!, 0x9e3779b1);
    const slot = (hash ^ hash >>> 15) & (SLOTS - 1), at = slot * RECORD_WORDS;
    const known = this.#addresses[slot];
    if (known) {
      let i = 0;
      while (i < RECORD_WORDS && this.#records[at + i] === words[from + i]) i++;
      if (i === RECORD_WORDS) return known;
    }
    const address = readAddressRecord(this.#slab, offset);
    if (!address) return undefined;
    for (let i = 0; i < RECORD_WORDS; i++) this.#records[at + i] = words[from + i]!;
    return this.#addresses[slot] = address;
  }
}
