import assert from "node:assert/strict";
import fc from "fast-check";
import {
  decodeAttributes,
  decodeError,
  decodeMessages,
  encodeBody,
  encodeMessage,
  nested,
  readNumber,
  text,
  u32,
} from "../../ffi/netlink/message.ts";
import {
  decodeAddress,
  decodeLink,
  decodeRoute,
  decodeRouteSource,
  decodeRule,
  encodeAddress,
  encodeGetLink,
  encodeGetRouteTo,
  encodeLinkChange,
  encodeRoute,
  encodeRule,
  formatPrefix,
  parsePrefix,
} from "../../ffi/netlink/route_messages.ts";
import { namespaceTest } from "./namespace.ts";

const hex = (text: string) => Uint8Array.fromHex(text.replace(/[\s|]/g, ""));

Deno.test("a message is its header, its body and padding to 4", () => {
  assert.deepEqual(
    encodeMessage({ type: 18, flags: 5, body: Uint8Array.of(1, 2, 3) }, 7),
    hex("13000000 1200 0500 07000000 00000000 | 01020300"),
  );
});

Deno.test("attributes are padded to 4, and nested ones are marked", () => {
  assert.deepEqual(
    encodeBody(new Uint8Array(4), [{ type: 3, value: text("ab") }, nested(26, [{ type: 8, value: u32(1) }])]),
    hex("00000000 | 0700 0300 61620000 | 0c00 1a80 | 0800 0800 01000000"),
  );
});

Deno.test("a link is looked up by its name", () => {
  assert.deepEqual(encodeGetLink("lo"), hex("00".repeat(16) + "0700 0300 6c6f0000"));
});

Deno.test("a link change carries only what it names", () => {
  assert.deepEqual(
    encodeLinkChange(3, { mtu: 1280, txQueueLength: 10000, gsoMaxSize: 60224 }),
    hex(
      "0000 0000 03000000 00000000 00000000 | 0800 0400 00050000 | 0800 0d00 10270000 | 0800 2900 40eb0000",
    ),
  );
  assert.deepEqual(encodeLinkChange(3, { up: true }), hex("0000 0000 03000000 01000000 01000000"));
  assert.deepEqual(encodeLinkChange(3, { up: false }), hex("0000 0000 03000000 00000000 01000000"));
  assert.deepEqual(
    encodeLinkChange(3, { linkLocal: false }),
    hex("0000 0000 03000000 00000000 00000000 | 1000 1a80 | 0c00 0a80 | 0500 0800 01000000"),
  );
});

Deno.test("an address has its family, prefix length, link and itself twice", () => {
  const bytes = encodeAddress(5, parsePrefix("100.64.0.1"));
  assert.deepEqual(bytes, hex("02 20 00 00 05000000 | 0800 0200 64400001 | 0800 0100 64400001"));
  assert.deepEqual(decodeAddress(bytes), {
    link: 5,
    prefix: { address: Uint8Array.of(100, 64, 0, 1), length: 32 },
  });
  const six = encodeAddress(5, parsePrefix("fd00:2021:1111::1/128"));
  assert.deepEqual(six.subarray(0, 12), hex("0a 80 00 00 05000000 | 1400 0200"));
});

Deno.test("a route is static, without gateway, in its own table", () => {
  const route = { destination: parsePrefix("100.64.0.0/11"), link: 5, table: 0x2021fd00 };
  const bytes = encodeRoute(route);
  assert.deepEqual(
    bytes,
    hex("02 0b 00 00 00 04 00 01 00000000 | 0800 0100 64400000 | 0800 0400 05000000 | 0800 0f00 00fd2120"),
  );
  assert.deepEqual(decodeRoute(bytes), route);
});

Deno.test("the question for a route names where to; the answer's source is the address that packets come from", () => {
  assert.deepEqual(
    encodeGetRouteTo(Uint8Array.of(203, 0, 113, 7)),
    hex("02 20 00 00 00 00 00 00 00000000 | 0800 0100 cb007107"),
  );
  const answer = hex("02 20 00 00 00 00 00 00 00000000 | 0800 0100 cb007107 | 0800 0700 c0a85802");
  assert.deepEqual(decodeRouteSource(answer), Uint8Array.of(192, 168, 88, 2));
  assert.equal(decodeRouteSource(answer.subarray(0, 20)), undefined);
});

Deno.test("the rule sends everything unmarked to the table", () => {
  const rule = { family: 6, mark: 0xfd002021, table: 0x2021fd00 } as const;
  const bytes = encodeRule(rule);
  assert.deepEqual(
    bytes,
    hex(`0a 00 00 00 00 00 00 01 02000000 | 0800 0a00 212000fd | 0800 1000 ffffffff
      | 0800 0f00 00fd2120 | 0500 1500 02000000`),
  );
  assert.deepEqual(decodeRule(bytes), rule);
});

Deno.test("a prefix is read strictly and written canonically", () => {
  assert.equal(formatPrefix(parsePrefix("fd00:2021:1111:0::/107")), "fd00:2021:1111::/107");
  assert.equal(formatPrefix(parsePrefix("10.0.0.1")), "10.0.0.1/32");
  for (
    const wrong of ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "010.0.0.0/8", "a/8"]
  ) {
    assert.throws(() => parsePrefix(wrong), RangeError, wrong);
  }
});

Deno.test("a refusal carries its number and the kernel's words, capped or not", () => {
  const words = encodeBody(new Uint8Array(), [{ type: 1, value: text("no such thing") }]);
  const refusal = (flags: number, request: Uint8Array) => ({
    type: 2,
    flags,
    body: Uint8Array.from([...hex("edffffff"), ...request, ...words]),
  });
  const header = hex("14000000 1200 0500 07000000 00000000");
  assert.deepEqual(decodeError(refusal(0x300, header)), { errno: 19, text: "no such thing" });
  assert.deepEqual(decodeError(refusal(0x200, Uint8Array.from([...header, 1, 2, 3, 4]))), {
    errno: 19,
    text: "no such thing",
  });
  assert.deepEqual(decodeError(refusal(0, header)), { errno: 19, text: undefined });
  assert.deepEqual(decodeError({ type: 3, flags: 2, body: hex("00000000") }), { errno: 0, text: undefined });
});

Deno.test("what is encoded is decoded, message by message", () => {
  const one = encodeMessage({ type: 1, flags: 2, body: Uint8Array.of(9, 9, 9) }, 1);
  const two = encodeMessage({ type: 3, flags: 4, body: new Uint8Array(8) }, 2);
  const messages = decodeMessages(Uint8Array.from([...one, ...two]));
  assert.deepEqual(messages.map(({ type, flags, sequence, body }) => [type, flags, sequence, body.length]), [
    [1, 2, 1, 3],
    [3, 4, 2, 8],
  ]);
});

Deno.test("numbers of one to four bytes are read, others are none", () => {
  assert.equal(readNumber(hex("ff")), 255);
  assert.equal(readNumber(hex("00fd2120")), 0x2021fd00);
  assert.equal(readNumber(hex("ffffffff")), 0xffffffff);
  assert.equal(readNumber(new Uint8Array(8)), undefined);
  assert.equal(readNumber(new Uint8Array()), undefined);
  assert.equal(readNumber(undefined), undefined);
});

Deno.test("no bytes make a decoder throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    for (const message of decodeMessages(bytes)) decodeError(message);
    decodeAttributes(bytes, 16);
    decodeError({ type: 2, flags: 0x300, body: bytes });
    decodeError({ type: 2, flags: 0x200, body: bytes });
    decodeLink(bytes);
    decodeAddress(bytes);
    decodeRoute(bytes);
    decodeRule(bytes);
  }));
});

namespaceTest("links, addresses, routes and rules are as `ip` sees them, and go again", "netlink");
namespaceTest("a host whose IPv6 is switched off answers unsupported, and IPv4 works", "netlink_no_ipv6");
