/**
 * Bytes that can be checked without having been kept: `content.ts serve <port>` serves them, at `/<seed>/<bytes>`, and
 * whoever asks knows what must come.
 */

/** The same bytes for the same seed, and others for another: xorshift32, four bytes a step. */
export function content(seed: number, length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array((length + 3) >>> 2);
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

if (import.meta.main) {
  const port = Number(Deno.args[1]);
  Deno.serve({ hostname: "::", port, onListen: () => console.log("serving") }, (request) => {
    const [, seed, length] = new URL(request.url).pathname.split("/").map(Number);
    return new Response(content(seed!, length!));
  });
}
