/** One TCP connection through the tunnel, from the client to the server behind the gateway: `echo.ts` on both ends. */
import type { BackgroundProcess } from "../../../mod/embedded/testbed/mod.ts";
import { type Product, SERVER } from "../product.ts";

const SCRIPT = new URL("./echo.ts", import.meta.url).pathname;
const PORT = 5300;
const START_MS = 15_000;
/** It moves again: this many lines after a point in time. */
const LINES = 10;

export class Stream {
  readonly #process: BackgroundProcess;

  private constructor(process: BackgroundProcess) {
    this.#process = process;
  }

  /** Resolves when the first lines came back. */
  static async open(product: Product): Promise<Stream> {
    const { internet } = product;
    const command = [Deno.execPath(), "run", "-A", "--no-check", SCRIPT];
    internet.host("res").start([...command, "serve", String(PORT)], { label: "echo server" });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const process = internet.host("client").start([...command, "ask", SERVER[4], String(PORT)], {
      label: "echo",
    });
    const stream = new Stream(process);
    await stream.flows(START_MS);
    return stream;
  }

  /** Resolves when lines come back that were not there before; throws when the connection broke, or after the time. */
  async flows(timeoutMs: number): Promise<void> {
    const before = this.#count();
    const deadline = performance.now() + timeoutMs;
    while (this.#count() < before + LINES) {
      const broken = /broken (.*)/.exec(this.#process.output);
      if (broken) throw new Error(`The TCP connection broke: ${broken[1]}.`);
      if (performance.now() > deadline) {
        throw new Error(`The TCP connection stood still for ${timeoutMs} ms.`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The longest pause that ended after this time (Unix ms), in ms; 0 = none above 250. */
  longestPause(since: number): number {
    const gaps = [...this.#process.output.matchAll(/gap (\d+) (\d+)/g)];
    return Math.max(
      0,
      ...gaps.filter(([, end]) => Number(end) > since).map(([, , length]) => Number(length)),
    );
  }

  #count(): number {
    return Number([...this.#process.output.matchAll(/count (\d+)/g)].at(-1)?.[1] ?? 0);
  }
}
