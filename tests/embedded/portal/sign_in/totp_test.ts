import assert from "node:assert/strict";
import { totpCode, totpStep } from "../../../../mod/embedded/portal/sign_in/totp.ts";

const SECRET = new TextEncoder().encode("12345678901234567890");

Deno.test("RFC 6238 appendix B: the SHA-1 vectors, cut to six digits", () => {
  const vectors: [number, string][] = [
    [59, "287082"],
    [1111111109, "081804"],
    [1111111111, "050471"],
    [1234567890, "005924"],
    [2000000000, "279037"],
    [20000000000, "353130"],
  ];
  for (const [time, code] of vectors) {
    assert.equal(totpCode(SECRET, Math.floor(time / 30)), code);
    assert.equal(totpStep(SECRET, code, time, -1), Math.floor(time / 30));
  }
});

Deno.test("a code of the step before and after is accepted, of two steps away not", () => {
  const now = 1_753_347_600, step = now / 30;
  for (const [away, accepted] of [[-2, false], [-1, true], [0, true], [1, true], [2, false]] as const) {
    const found = totpStep(SECRET, totpCode(SECRET, step + away), now, -1);
    assert.equal(found, accepted ? step + away : undefined, String(away));
  }
});

Deno.test("a code is good once: neither it nor an older one is accepted after it", () => {
  const now = 1_753_347_600, step = now / 30;
  assert.equal(totpStep(SECRET, totpCode(SECRET, step), now, step), undefined);
  assert.equal(totpStep(SECRET, totpCode(SECRET, step - 1), now, step), undefined);
  assert.equal(totpStep(SECRET, totpCode(SECRET, step + 1), now, step), step + 1);
});

Deno.test("spaces are no part of a code; anything but six digits is wrong", () => {
  const now = 59;
  assert.equal(totpStep(SECRET, "287 082", now, -1), 1);
  for (const code of ["", "28708", "2870820", "28708x", "٢٨٧٠٨٢", "287082".repeat(1000)]) {
    assert.equal(totpStep(SECRET, code, now, -1), undefined, code);
  }
});
