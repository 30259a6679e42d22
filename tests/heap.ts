/** How much the heap grows while packets go by. */

const PASSES = 5;

/**
 * Bytes that a million packets allocate, by the least of five passes: garbage of packets is in every pass, what the
 * engine allocates for compiling is not.
 * @param round moves some packets and returns how many.
 * @param rounds between two looks at the heap; few enough that its growth is seen before it is collected.
 */
export function allocatedByMillion(round: () => number, rounds: number): number {
  let least = Infinity;
  for (let pass = 0; pass < PASSES; pass++) least = Math.min(least, allocatedInPass(round, rounds));
  return least;
}

function allocatedInPass(round: () => number, rounds: number): number {
  let packets = 0, allocated = 0;
  let before = Deno.memoryUsage().heapUsed;
  while (packets < 1_000_000) {
    for (let i = 0; i < rounds; i++) packets += round();
    const after = Deno.memoryUsage().heapUsed;
    allocated += Math.max(0, after - before); // a collection between two samples hides only that one's garbage
    before = after;
  }
  return allocated;
}
