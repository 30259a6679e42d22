/**
 * Short messages are cut out of shared chunks: an ArrayBuffer of its own costs more to make and to collect than a
 * message of a hundred bytes. A message must therefore never be given away by its `buffer`, and one that is kept keeps
 * a chunk; what is made here is sent and forgotten.
 */
const CHUNK = 8192;
const LONGEST = CHUNK / 8;

let chunk = new Uint8Array(CHUNK);
let used = 0;

/** `length` zero bytes that nobody else has. */
export function takeBytes(length: number): Uint8Array<ArrayBuffer> {
  if (length > LONGEST) return new Uint8Array(length);
  if (used + length > CHUNK) {
    chunk = new Uint8Array(CHUNK);
    used = 0;
  }
  return chunk.subarray(used, used += length);
}
