import { deepEqual, equal } from "node:assert/strict";
import { relayCredentials } from "../../mod/embedded/relay/mod.ts";
import { parseRelayUsername, REALM, relayPassword } from "../../mod/embedded/relay/credentials.ts";
import { longTermKey } from "../../mod/stun/mod.ts";

const STAMP_SECRET = "ad7c7480a51de6bef217f83628c5917f83e717c012e25f302bd2ed1df109a782";

Deno.test("relay passwords match the vectors", () => {
  const vectors: [number, string, string, string][] = [
    [
      1685984278,
      "1cab293a-4032-46f4-862a-40e5d174b0d2",
      "uvdgKvS9GXYZ_vmv",
      "6xUIoZ+QvxKhRasLifwfRkMXl+ETLJUsFkHlXjlHAkg",
    ],
    [
      1892160000,
      "4c98bf59c99b3e467ecd7cf9d6b3e5279645fca59be67bc5bb4af3cf653761ab",
      "n23JJ2wKKtt30oXi",
      "00hqldgk5xLeKKOB+xls9mHMVtgqzie9DulfgQwMv68",
    ],
  ];
  for (const [expiry, secret, salt, password] of vectors) {
    equal(relayPassword(expiry, secret, salt), password);
  }
});

Deno.test("credentials of a device follow from its public key", () => {
  const gateway = relayCredentials({
    publicKey: "WgYLecmHR8rgzDLpUYr5fx5l2qVH+f76ydDN9Ts2fVs=",
    stampSecret: STAMP_SECRET,
    expiresAt: 1761004800,
  });
  deepEqual(gateway, {
    username: "1761004800:kB8gD4KFbA5XSOXCQW+7SqIFp6Rf6vtEPQY4WVvUe9s",
    password: "4sW8ucHJlGcXYf78HZMzJtLGAsqWqx4bHSbVHUDd+fs",
  });
  const key = longTermKey(gateway.username, REALM, gateway.password);
  equal(Array.from(key, (b) => b.toString(16).padStart(2, "0")).join(""), "8139e274cc64c3a80c091ea482eccef2");
  deepEqual(
    relayCredentials({
      publicKey: "1okqtFOB8DLqU2O92NXJU9hco3AOhnRNPgX27mqzHSk=",
      stampSecret: STAMP_SECRET,
      expiresAt: 1753952400,
    }),
    {
      username: "1753952400:V2OAqw4/zK+uvc3LpDiqe8AuYA6xdaF0ITSd01aUO8A",
      password: "HBao9vM/MEsScXerTqWc2cKyVVfxiYaX5cs9hAEdnHk",
    },
  );
});

Deno.test("a username has exactly two parts, the first a number", () => {
  deepEqual(parseRelayUsername("17:salt+/"), { expiresAt: "17", salt: "salt+/" });
  for (const text of ["", ":", "17:", ":salt", "17:a:b", "x:salt", "-1:salt", "1e3:salt", " 1:salt"]) {
    equal(parseRelayUsername(text), undefined, text);
  }
});
