import { strict as assert } from "node:assert";
import fc from "fast-check";
import {
  type ControlMessage,
  decodeControl,
  encodeControl,
  isControl,
} from "../../mod/policy/control_packet.ts";
import { hex, packet, toHex } from "./packets.ts";

const RESOURCE = "101352d0-0000-4000-8000-000000000001";
const DOMAIN = "app.example.com";
const ZEROS = "00".repeat(32);
const ascii = (text: string) => toHex(new TextEncoder().encode(text));

function vector(header: string, type: string, body: string): Uint8Array {
  return hex(header + ZEROS + type + ascii(body));
}

const VECTORS: [name: string, message: ControlMessage, bytes: Uint8Array, length: number][] = [
  [
    "assigned_ips",
    {
      type: "assigned-ips",
      resource: RESOURCE,
      domain: DOMAIN,
      proxyIps: ["100.96.0.1", "100.96.0.2", "100.96.0.3", "100.96.0.4"],
    },
    vector(
      "600000000098ff00",
      "0000000000000000",
      `{"resource":"${RESOURCE}","domain":"${DOMAIN}","proxy_ips":["100.96.0.1","100.96.0.2","100.96.0.3","100.96.0.4"]}`,
    ),
    192,
  ],
  [
    "domain_status Active",
    { type: "domain-status", resource: RESOURCE, domain: DOMAIN, active: true },
    vector(
      "600000000068ff00",
      "0100000000000000",
      `{"resource":"${RESOURCE}","domain":"${DOMAIN}","status":"Active"}`,
    ),
    144,
  ],
  ["goodbye", { type: "goodbye" }, vector("600000000008ff00", "0200000000000000", ""), 48],
];

for (const [name, message, bytes, length] of VECTORS) {
  Deno.test(`${name} is encoded and decoded byte for byte as the vector of appendix A`, () => {
    assert.equal(bytes.length, length);
    assert.equal(toHex(encodeControl(message)), toHex(bytes));
    assert.deepEqual(decodeControl(bytes), message);
  });
}

function withBody(type: number, body: string): Uint8Array {
  const l4 = Uint8Array.from([type, 9, 9, 9, 9, 9, 9, 9, ...new TextEncoder().encode(body)]);
  return packet({ src: "::", dst: "::", protocol: 255, l4, ttl: 0 });
}

Deno.test("the longest legal domain with 8 IPv6 addresses fits and round-trips", () => {
  const label = "a".repeat(63);
  const domain = [label, label, label, "a".repeat(61)].join(".");
  const message = (address: string): ControlMessage => ({
    type: "assigned-ips",
    resource: RESOURCE,
    domain,
    proxyIps: Array.from({ length: 8 }, () => address),
  });
  assert.equal(encodeControl(message("fd00::")).length, 48 + 402);
  const longest = message("fd00:2021:1111:8000:100:100:111:100");
  assert.ok(encodeControl(longest).length <= 1280);
  assert.deepEqual(decodeControl(encodeControl(longest)), longest);
});

Deno.test("a message that does not fit into one tunnel packet is refused", () => {
  const fits = "x".repeat(1280 - 48 - JSON.stringify({ resource: "", domain: "", proxy_ips: [] }).length);
  const message = (domain: string): ControlMessage => ({
    type: "assigned-ips",
    resource: "",
    domain,
    proxyIps: [],
  });
  assert.equal(encodeControl(message(fits)).length, 1280);
  assert.throws(() => encodeControl(message(fits + "x")), RangeError);
});

Deno.test("unknown statuses decode to inactive; unknown keys and reserved bytes are ignored", () => {
  const status = withBody(1, `{"extra":1,"resource":"r","domain":"d","status":"Sleepy"}`);
  assert.deepEqual(decodeControl(status), {
    type: "domain-status",
    resource: "r",
    domain: "d",
    active: false,
  });
});

Deno.test("unknown types and bodies that make no sense decode to nothing", () => {
  assert.equal(decodeControl(withBody(3, "{}")), undefined);
  for (
    const body of [
      "",
      "{",
      "[]",
      "null",
      "7",
      "{}",
      `{"resource":1,"domain":"d","proxy_ips":[]}`,
      `{"resource":"r","domain":"d","proxy_ips":"1.2.3.4"}`,
      `{"resource":"r","domain":"d","proxy_ips":[1]}`,
      `{"resource":"r","proxy_ips":[]}`,
      "\u{fffd}",
    ]
  ) {
    assert.equal(decodeControl(withBody(0, body)), undefined, body);
  }
  assert.equal(decodeControl(withBody(1, `{"resource":"r","domain":"d"}`)), undefined);
});

Deno.test("recognition needs next header 255, both addresses ::, and a payload of at least 8 bytes", () => {
  const good = packet({ src: "::", dst: "::", protocol: 255, l4: new Uint8Array(8), ttl: 0 });
  assert.ok(isControl(good));
  assert.ok(!isControl(good.subarray(0, 47)));
  for (const at of [0, 5, 6, 8, 23, 24, 39]) {
    const bad = good.slice();
    bad[at]! ^= 0x10;
    assert.ok(!isControl(bad), `byte ${at}`);
  }
});

Deno.test("any bytes decode without a throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 3 }), (bytes, type) => {
    decodeControl(bytes);
    const framed = packet({
      src: "::",
      dst: "::",
      protocol: 255,
      l4: Uint8Array.from([type, 0, 0, 0, 0, 0, 0, 0, ...bytes]),
    });
    decodeControl(framed);
  }));
});
