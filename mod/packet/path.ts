/**
 * A path: where a peer's tunnelled datagrams go and which local address they leave from, as ten u32 words that the
 * packet path compares and copies without making objects.
 *
 * Words 0-4 are the destination's address record, words 5-9 the source's (layout: `address.ts`). Family 0 in the
 * source means that the kernel chooses it by route; of the source only the IP is used, the port is the socket's.
 */
import { ADDRESS_RECORD_SIZE, SocketAddress } from "./address.ts";

/** u32 words of a path: two address records. */
export const PATH_WORDS = 2 * ADDRESS_RECORD_SIZE / 4;
const SOURCE_WORD = ADDRESS_RECORD_SIZE / 4;

export class Path {
  readonly words: Uint32Array<ArrayBuffer> = new Uint32Array(PATH_WORDS);
  readonly #view = new DataView(this.words.buffer);
  readonly #bytes = new Uint8Array(this.words.buffer);

  static of(destination: SocketAddress, source?: SocketAddress): Path {
    const path = new Path();
    path.set(destination, source);
    return path;
  }

  /** Overwrites both addresses; no `source` leaves the choice to the kernel. */
  set(destination: SocketAddress, source?: SocketAddress): void {
    this.words.fill(0);
    this.#write(0, destination);
    if (source) this.#write(ADDRESS_RECORD_SIZE, source);
  }

  /** True once a destination was set. */
  get isSet(): boolean {
    return this.words[0] !== 0;
  }

  get destination(): SocketAddress | undefined {
    return this.#read(0);
  }

  /** Undefined when the kernel chooses. */
  get source(): SocketAddress | undefined {
    return this.#read(SOURCE_WORD * 4);
  }

  equals(other: Path): boolean {
    for (let i = 0; i < PATH_WORDS; i++) if (this.words[i] !== other.words[i]) return false;
    return true;
  }

  #write(at: number, address: SocketAddress): void {
    this.#view.setUint16(at, address.family, true);
    this.#view.setUint16(at + 2, address.port, true);
    this.#bytes.set(address.bytes, at + 4);
  }

  #read(at: number): SocketAddress | undefined {
    const family = this.#view.getUint16(at, true);
    if (family !== 4 && family !== 6) return undefined;
    const ip = this.#bytes.subarray(at + 4, at + (family === 4 ? 8 : 20));
    return SocketAddress.fromBytes(ip, this.#view.getUint16(at + 2, true));
  }
}
