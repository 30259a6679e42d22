import assert from "node:assert/strict";
import { Stream } from "./stream.ts";

/** Far below what one object per packet would cost (10^6 packets, at least 16 bytes each). */
const ALLOWED_GROWTH = 4 * 1024 * 1024;

function million(stream: Stream): void {
  const run = (packets: number) => {
    let arrived = 0;
    while (arrived < packets) {
      stream.send();
      arrived += stream.receive();
    }
  };
  run(200_000); // until everything is compiled
  const before = Deno.memoryUsage().heapUsed;
  run(1_000_000);
  const growth = Deno.memoryUsage().heapUsed - before;
  assert.ok(growth < ALLOWED_GROWTH, `the heap grew by ${growth} bytes`);
}

Deno.test("a million packets through both cores leave the heap as it was", () => million(new Stream(40)));

Deno.test("and so they do when their flow is recorded", () => million(new Stream(40, { flows: true })));
