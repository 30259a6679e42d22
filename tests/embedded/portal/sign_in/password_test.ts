import assert from "node:assert/strict";
import {
  hashPassword,
  isPasswordHash,
  verifyPassword,
} from "../../../../mod/embedded/portal/sign_in/password.ts";

Deno.test("a password matches its own hash, each hash has its own salt, and no other password does", async () => {
  const hash = await hashPassword("correct horse");
  assert.match(hash, /^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(await hashPassword("correct horse"), hash);
  assert.equal(await verifyPassword("correct horse", hash), true);
  assert.equal(await verifyPassword("correct horsf", hash), false);
  assert.equal(await verifyPassword("", hash), false);
});

Deno.test("RFC 7914 §12: the vector of N = 16384, r = 8, p = 1", async () => {
  const hash = Uint8Array.fromHex(
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2" +
      "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
  ).toBase64({ omitPadding: true });
  const text = `$scrypt$ln=14,r=8,p=1$${btoa("SodiumChloride").replaceAll("=", "")}$${hash}`;
  assert.equal(await verifyPassword("pleaseletmein", text), true);
  assert.equal(await verifyPassword("pleaseletmeout", text), false);
});

Deno.test("an umlaut is the same however a keyboard composes it", async () => {
  const hash = await hashPassword("gru\u0308n");
  assert.equal(await verifyPassword("gr\u00fcn", hash), true);
});

Deno.test("hashes that are none, or that would take the host's memory, are refused", async () => {
  const rest = `$${"A".repeat(22)}$${"A".repeat(43)}`;
  assert.equal(isPasswordHash(`$scrypt$ln=15,r=8,p=3${rest}`), true);
  for (
    const text of [
      "",
      "secret",
      "$2b$12$" + "A".repeat(53),
      `$scrypt$ln=15,r=8,p=3$$`,
      `$scrypt$ln=30,r=8,p=1${rest}`,
      `$scrypt$ln=20,r=8,p=1${rest}`,
      `$scrypt$ln=15,r=8,p=99${rest}`,
      `$scrypt$ln=0,r=8,p=1${rest}`,
      `$scrypt$ln=15,r=0,p=1${rest}`,
      `$scrypt$ln=15,r=8,p=3${rest}\n`,
    ]
  ) {
    assert.equal(isPasswordHash(text), false, text);
    assert.equal(await verifyPassword("secret", text), false, text);
  }
});

Deno.test("an endless password is refused before it is hashed", async () => {
  const hash = await hashPassword("x".repeat(1024));
  assert.equal(await verifyPassword("x".repeat(1024), hash), true);
  assert.equal(await verifyPassword("x".repeat(1025), hash), false);
});
