import { strict as assert } from "node:assert";
import fc from "fast-check";
import { IpHeader, KIND_ECHO_REQUEST, KIND_TCP, KIND_UDP, PARSE_OK } from "../../mod/packet/ip_header.ts";
import { IcmpQuote } from "../../mod/policy/icmp_quote.ts";
import { echo, icmp, ip, packet, tcp, udp } from "./packets.ts";
import { wordsOf } from "../../mod/policy/words.ts";

const A = "100.64.0.5", B = "10.0.0.9", A6 = "fd00:2021:1111::5", B6 = "2001:db8::9";

function quote(bytes: Uint8Array): IcmpQuote | undefined {
  const header = new IpHeader(), quote = new IcmpQuote();
  assert.equal(header.parse(bytes, 0, bytes.length), PARSE_OK);
  return quote.parse(bytes, header) ? quote : undefined;
}

function error(quoted: Uint8Array, type?: number): Uint8Array {
  return quoted[0]! >> 4 === 4
    ? icmp(B, A, type ?? 3, 1, [0, 0, 0, 0], quoted)
    : icmp(B6, A6, type ?? 1, 0, [0, 0, 0, 0], quoted);
}

Deno.test("the quoted flow is read from TCP, UDP and echo requests of both families", () => {
  const cases: [Uint8Array, number][] = [
    [tcp(A, 4000, B, 80), KIND_TCP],
    [udp(A, 4000, B, 80), KIND_UDP],
    [echo(A, B, 4000), KIND_ECHO_REQUEST],
    [tcp(A6, 4000, B6, 80), KIND_TCP],
    [udp(A6, 4000, B6, 80), KIND_UDP],
    [echo(A6, B6, 4000), KIND_ECHO_REQUEST],
  ];
  for (const [quoted, kind] of cases) {
    const v4 = quoted[0]! >> 4 === 4;
    const found = quote(error(quoted));
    assert.ok(found);
    assert.deepEqual([found.kind, found.srcPort], [kind, 4000]);
    assert.deepEqual([...found.dst], [...wordsOf(ip(v4 ? B : B6))!]);
    assert.equal(found.dstOffset, v4 ? 28 + 16 : 48 + 24);
    assert.equal(found.portOffset, (v4 ? 48 : 88) + (kind === KIND_ECHO_REQUEST ? 4 : 0));
  }
});

Deno.test("IPv4 options and IPv6 extension headers of the quoted packet are skipped", () => {
  const inner = udp(A, 4000, B, 80);
  const options = Uint8Array.from([0x46, ...inner.subarray(1, 20), 1, 1, 1, 1, ...inner.subarray(20)]);
  assert.equal(quote(error(options))?.srcPort, 4000);
  const inner6 = udp(A6, 4000, B6, 80).subarray(40);
  const extended = (next: number, header: number[]) =>
    packet({ src: A6, dst: B6, protocol: next, l4: Uint8Array.from([...header, ...inner6]) });
  assert.equal(quote(error(extended(60, [17, 0, 1, 4, 0, 0, 0, 0])))?.srcPort, 4000);
  assert.equal(quote(error(extended(44, [17, 0, 0, 1, 0, 0, 0, 7])))?.srcPort, 4000, "first fragment");
  assert.equal(quote(error(extended(44, [17, 0, 0, 9, 0, 0, 0, 7]))), undefined, "later fragment");
  assert.equal(quote(error(extended(51, [17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])))?.srcPort, 4000);
});

Deno.test("later fragments, replies, foreign families and cut quotes name no flow", () => {
  const fragment = udp(A, 4000, B, 80);
  fragment[7] = 1;
  const refused = [
    fragment,
    echo(A, B, 1, true),
    udp(A6, 1, B6, 2),
    udp(A, 4000, B, 80).subarray(0, 23),
    echo(A, B, 1).subarray(0, 27),
    packet({ src: A, dst: B, protocol: 58, l4: Uint8Array.of(128, 0, 0, 0, 0, 1, 0, 0) }),
  ];
  for (const quoted of refused) assert.equal(quote(icmp(B, A, 3, 1, [0, 0, 0, 0], quoted)), undefined);
  assert.equal(quote(error(udp(A, 4000, B, 80).subarray(0, 24)))?.srcPort, 4000);
  assert.equal(quote(error(udp(A, 4000, B, 80), 12)), undefined, "parameter problem");
  assert.equal(quote(error(udp(A6, 4000, B6, 80), 4)), undefined);
});

Deno.test("any quote is read without looking behind the packet", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), fc.nat(15), (body, v6, bits) => {
    const quoted = Uint8Array.from(body);
    if (quoted.length > 0) quoted[0] = (v6 ? 0x60 : 0x40) | bits;
    const bytes = v6 ? icmp(B6, A6, 1, 0, [0, 0, 0, 0], quoted) : icmp(B, A, 3, 0, [0, 0, 0, 0], quoted);
    const found = quote(bytes);
    assert.ok(!found || (found.portOffset + 2 <= bytes.length && found.dstOffset + 4 <= bytes.length));
  }));
});
