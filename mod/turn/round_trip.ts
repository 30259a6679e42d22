/** The relay's round-trip time in ms: smoothed over all answers with a weight of 1/8 (RFC 6298 §2). */
export class RoundTrip {
  #smoothed: number | undefined;

  get value(): number | undefined {
    return this.#smoothed;
  }

  sample(ms: number): void {
    this.#smoothed = this.#smoothed === undefined ? ms : this.#smoothed + (ms - this.#smoothed) / 8;
  }
}
