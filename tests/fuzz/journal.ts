/**
 * What a machine has seen so far, in memory that two threads share: when the fuzzing thread hangs, the other one can
 * still tell on which inputs.
 *
 * Word 0: inputs ever started · word 1: bytes used · word 2: 1 when a finding is being examined · then u32 length and bytes of each input since the last fresh
 * machine. What doesn't fit is left out.
 */
const HEADER = 12;

export class Journal {
  static readonly SIZE = 4 << 20;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #words: Int32Array;

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(Journal.SIZE)) {
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#words = new Int32Array(buffer, 0, 3);
  }

  /** Changes with every input. */
  get progress(): number {
    return Atomics.load(this.#words, 0);
  }

  get isExamining(): boolean {
    return Atomics.load(this.#words, 2) === 1;
  }

  noteFinding(): void {
    Atomics.store(this.#words, 2, 1);
  }

  note(input: Uint8Array, isFirst: boolean): void {
    const used = isFirst ? HEADER : Atomics.load(this.#words, 1);
    if (used + 4 + input.length <= Journal.SIZE) {
      this.#view.setUint32(used, input.length);
      this.#bytes.set(input, used + 4);
      Atomics.store(this.#words, 1, used + 4 + input.length);
    }
    Atomics.add(this.#words, 0, 1);
  }

  inputs(): Uint8Array[] {
    const inputs: Uint8Array[] = [];
    const end = Atomics.load(this.#words, 1);
    for (let at = HEADER; at < end;) {
      const length = this.#view.getUint32(at);
      inputs.push(this.#bytes.slice(at + 4, at + 4 + length));
      at += 4 + length;
    }
    return inputs;
  }
}
