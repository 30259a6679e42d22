/**
 * The ratio of two means that were measured side by side, in pairs, and its standard error (of a ratio estimator: by
 * what the pairs deviate from that ratio). What moves both of a pair alike does not count as an error.
 */
export class Ratio {
  readonly value: number;
  readonly error: number;

  constructor(numerators: readonly number[], denominators: readonly number[]) {
    const count = numerators.length;
    this.value = mean(numerators) / mean(denominators);
    const squares = numerators.map((numerator, i) => (numerator - this.value * denominators[i]!) ** 2);
    this.error = Math.sqrt(mean(squares) / Math.max(1, count - 1)) / mean(denominators);
  }

  toString(): string {
    return `${this.value.toFixed(3)} ± ${this.error.toFixed(3)}`;
  }
}

export function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
