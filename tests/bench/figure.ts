/**
 * Figures of the bench: a stable dotted name, a number, a unit. A file `tests/bench/<room>_bench.ts` exports
 * `figures()`, which measures and returns its own.
 */

export interface Figure {
  /** `packet.checksum.1280`, `tunnel.tcp.1.up.ratio` */
  readonly name: string;
  readonly value: number;
  /** `ns`, `Gbit/s`, `kpps`, `ms`, `MB`, `x` for a ratio */
  readonly unit: string;
  /** What `value` is the median of. */
  readonly samples?: readonly number[];
}

/** What a `*_bench.ts` file exports. */
export interface BenchModule {
  figures(): readonly Figure[] | Promise<readonly Figure[]>;
}

/** What a bench of a whole system exports; it runs in a sandbox. */
export interface SystemBench {
  /** @param say called with progress, one line each @param options as given on the command line */
  figures(
    say: (line: string) => void,
    options: { readonly rounds?: number; readonly seconds?: number },
  ): Promise<readonly Figure[]>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const WARM_UP_MS = 60, SAMPLE_MS = 40, SAMPLES = 7;

/**
 * Nanoseconds per operation: warmed up, median of seven samples. `operation` does `perCall` operations a call (1 by
 * default); make it do enough that the call itself does not count.
 */
export function measure(name: string, operation: () => void, perCall = 1): Figure {
  let calls = 0;
  const warmUpEnd = performance.now() + WARM_UP_MS;
  while (performance.now() < warmUpEnd) {
    operation();
    calls++;
  }
  const batch = Math.max(1, Math.round(calls * SAMPLE_MS / WARM_UP_MS));
  const samples = Array.from({ length: SAMPLES }, () => {
    const started = performance.now();
    for (let i = 0; i < batch; i++) operation();
    return (performance.now() - started) * 1e6 / (batch * perCall);
  });
  return { name, value: median(samples), unit: "ns", samples };
}
