/**
 * One-time passwords by time (RFC 6238): HMAC-SHA-1 over the number of 30 s steps since 1970, cut down to six digits
 * (RFC 4226 §5.3). One step to either side is accepted, since phones' clocks are off, and none that isn't later than
 * the last accepted one: a code that somebody looked at is worth nothing (§5.2).
 */
import { createHmac, timingSafeEqual } from "node:crypto";

const STEP_SECONDS = 30;
const DIGITS = 6;
const DRIFT_STEPS = 1;

/**
 * @param lastStep the step of the last code that was accepted
 * @returns the step that the code belongs to; undefined when it is wrong or used up
 */
export function totpStep(
  secret: Uint8Array,
  code: string,
  unixNow: number,
  lastStep: number,
): number | undefined {
  const given = code.replace(/[\s-]/g, "");
  if (!/^\d{6}$/.test(given)) return undefined;
  const now = Math.floor(unixNow / STEP_SECONDS);
  let found: number | undefined;
  for (let step = now - DRIFT_STEPS; step <= now + DRIFT_STEPS; step++) {
    const equal = timingSafeEqual(text(totpCode(secret, step)), text(given));
    if (equal && step > lastStep) found = step;
  }
  return found;
}

/** The six digits of a step. */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = new Uint8Array(8);
  new DataView(counter.buffer).setBigUint64(0, BigInt(step));
  const mac = createHmac("sha1", secret).update(counter).digest();
  const offset = mac[19]! & 0xf;
  const number = mac.readUInt32BE(offset) & 0x7fffffff;
  return String(number % 10 ** DIGITS).padStart(DIGITS, "0");
}

function text(digits: string): Uint8Array {
  return new TextEncoder().encode(digits);
}
