import assert from "node:assert/strict";
import fc from "fast-check";
import { cidrContains, parseCidr, toCidr } from "../../mod/portal/cidr.ts";
import { formatKey, parseKey } from "../../mod/portal/key.ts";

Deno.test("only canonical networks are networks", () => {
  for (const text of ["10.0.0.0/24", "10.0.0.5/32", "0.0.0.0/0", "fd12::/64", "::/0", "2001:db8::1/128"]) {
    assert.equal(parseCidr(text)?.text, text);
  }
  for (
    const text of [
      "10.0.0.1/24",
      "10.0.0.0",
      "10.0.0.0/33",
      "10.0.0.0/024",
      "fd12::1/64",
      "10.0.0.0/",
      "x/8",
      "",
    ]
  ) {
    assert.equal(parseCidr(text), undefined, text);
  }
});

Deno.test("what people write is made canonical", () => {
  assert.equal(toCidr("10.0.0.77/24")?.text, "10.0.0.0/24");
  assert.equal(toCidr("10.0.0.77")?.text, "10.0.0.77/32");
  assert.equal(toCidr("2001:DB8:0::1")?.text, "2001:db8::1/128");
  assert.equal(toCidr("10.0.0.300"), undefined);
});

Deno.test("a network holds exactly the addresses that share its prefix", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.nat({ max: 32 }),
      (network, address, prefix) => {
        const cidr = toCidr(`${network.join(".")}/${prefix}`)!;
        const number = (bytes: Uint8Array) => bytes.reduce((n, byte) => n * 256 + byte, 0);
        const size = 2 ** (32 - prefix);
        const same = Math.floor(number(address) / size) === Math.floor(number(network) / size);
        assert.equal(cidrContains(cidr, address), same);
        assert.equal(parseCidr(cidr.text)?.text, cidr.text);
      },
    ),
  );
});

Deno.test("keys are 44 characters of canonical base64", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
    assert.deepEqual(parseKey(formatKey(bytes)), new Uint8Array(bytes));
  }));
  const good = formatKey(new Uint8Array(32));
  for (
    const text of [
      "",
      good.slice(0, 43),
      `${good}=`,
      good.replace("A=", "B="),
      ` ${good}`,
      good.replace("=", "A"),
    ]
  ) {
    assert.equal(parseKey(text), undefined, text);
  }
});
