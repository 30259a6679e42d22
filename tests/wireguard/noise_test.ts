import assert from "node:assert/strict";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { INITIAL_CHAIN_KEY, INITIAL_HASH, kdf, mac } from "../../mod/wireguard/noise.ts";

const hex = (bytes: Uint8Array) => bytes.toHex();

Deno.test("the initial chaining key is the hash of the construction's name", () => {
  assert.equal(hex(INITIAL_CHAIN_KEY), "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
});

Deno.test("the initial hash covers the identifier", () => {
  assert.equal(hex(INITIAL_HASH), "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");
});

Deno.test("KDF1, KDF2 and KDF3 give the keys that every WireGuard gives", () => {
  const vectors: [string, string, string[]][] = [
    ["test-key", "test-input", [
      "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633",
      "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a",
      "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24",
    ]],
    ["wireguard", "wireguard", [
      "491d43bbfdaa8750aaf535e334ecbfe5129967cd64635101c566d4caefda96e8",
      "1e71a379baefd8a79aa4662212fcafe19a23e2b609a3db7d6bcba8f560e3d25f",
      "31e1ae48bddfbe5de38f295e5452b1909a1b4e38e183926af3780b0c1e1f0160",
    ]],
    ["", "", [
      "8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0",
      "58a0e5f6faefccf4807bff1f05fa8a9217945762040bcec2f4b4a62bdfe0e86e",
      "0ce6ea98ec548f8e281e93e32db65621c45eb18dc6f0a7ad94178610a2f7338e",
    ]],
  ];
  for (const [key, input, expected] of vectors) {
    for (const count of [1, 2, 3] as const) {
      const keys = kdf(utf8ToBytes(key), utf8ToBytes(input), count);
      assert.deepEqual(keys.map(hex), expected.slice(0, count));
    }
  }
});

Deno.test("a MAC is 16 bytes and depends on key and input", () => {
  const key = new Uint8Array(32);
  const one = mac(key, utf8ToBytes("a"));
  assert.equal(one.length, 16);
  assert.notEqual(hex(one), hex(mac(key, utf8ToBytes("b"))));
  assert.notEqual(hex(one), hex(mac(key.with(0, 1), utf8ToBytes("a"))));
});
