/**
 * Passwords at rest: scrypt (RFC 7914), written as a PHC string, `$scrypt$ln=15,r=8,p=3$<salt>$<hash>` with unpadded
 * base64. `ln` is the binary logarithm of the cost. One try at the default cost takes 32 MiB and tens of
 * milliseconds, on a thread of the runtime's pool.
 *
 * Passwords are compared in Unicode's composed form (RFC 8265 §4.2): keyboards differ in how they write an umlaut.
 */
import { Buffer } from "node:buffer";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

interface ScryptHash {
  /** N. */
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

const DEFAULTS = { cost: 1 << 15, blockSize: 8, parallelization: 3 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Of one try; a hash that wants more is refused, so that nothing in a policy file can take the host's memory. */
const MAX_MEMORY = 256 << 20;
const MAX_PARALLELIZATION = 16;
/** Longer ones are refused before they are hashed. */
export const MAX_PASSWORD_CHARACTERS = 1024;

/** @returns a PHC string with a salt of its own */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, { ...DEFAULTS, salt }, HASH_BYTES);
  const parameters = `ln=${Math.log2(DEFAULTS.cost)},r=${DEFAULTS.blockSize},p=${DEFAULTS.parallelization}`;
  return `$scrypt$${parameters}$${unpadded(salt)}$${unpadded(hash)}`;
}

/** @returns false also for a hash that {@link isPasswordHash} doesn't accept */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const expected = parseHash(hash);
  if (!expected || password.length > MAX_PASSWORD_CHARACTERS) return false;
  return timingSafeEqual(await derive(password, expected, expected.hash.length), expected.hash);
}

/** Whether it is a hash that a password can be checked against. */
export function isPasswordHash(text: string): boolean {
  return parseHash(text) !== undefined;
}

function parseHash(text: string): ScryptHash | undefined {
  const [, ln, r, p, salt64, hash64] =
    /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,88})\$([A-Za-z0-9+/]{22,88})$/
      .exec(text) ?? [];
  if (salt64 === undefined || hash64 === undefined) return undefined;
  const cost = 2 ** Number(ln), blockSize = Number(r), parallelization = Number(p);
  if (cost < 2 || blockSize < 1 || parallelization < 1 || parallelization > MAX_PARALLELIZATION) {
    return undefined;
  }
  if (128 * cost * blockSize > MAX_MEMORY) return undefined;
  const salt = Buffer.from(salt64, "base64"), hash = Buffer.from(hash64, "base64");
  return { cost, blockSize, parallelization, salt, hash };
}

function derive(password: string, of: Omit<ScryptHash, "hash">, length: number): Promise<Uint8Array> {
  const { cost, blockSize, parallelization, salt } = of;
  const options = { cost, blockSize, parallelization, maxmem: 2 * MAX_MEMORY };
  return new Promise((resolve, reject) =>
    scrypt(
      password.normalize("NFC"),
      salt,
      length,
      options,
      (error, key) => error ? reject(error) : resolve(key),
    )
  );
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replaceAll("=", "");
}
