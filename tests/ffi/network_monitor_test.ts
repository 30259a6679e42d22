import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeMessages } from "../../ffi/netlink/message.ts";
import { NetworkMonitor } from "../../ffi/netlink/mod.ts";
import { NetworkChanges } from "../../ffi/netlink/network_changes.ts";
import { isMachineRoot, namespaceTest, run } from "./namespace.ts";

const TUN = 9, TABLE = 0x2021fd00;
const NEWLINK = 16, DELLINK = 17, NEWADDR = 20, DELADDR = 21, NEWROUTE = 24;
const UP = 0x11043, DOWN = 0x1002;

const hex = (text: string) => Uint8Array.fromHex(text.replace(/[\s|]/g, ""));
const message = (type: number, text: string) => ({ type, flags: 0, sequence: 0, body: hex(text) });
const le32 = (value: number) =>
  [0, 8, 16, 24].map((shift) => ((value >>> shift) & 255).toString(16).padStart(2, "0")).join("");

const link = (type: number, index: number, flags: number, family = "00") =>
  message(type, `${family}00 0100 ${le32(index)} ${le32(flags)} 00000000`);
const address4 = (type: number, index: number, flags = "80") =>
  message(type, `02 18 ${flags} 00 ${le32(index)} | 0800 0200 c0000202 | 0800 0100 c0000202`);
const address6 = (type: number, text: string, flags = "80") =>
  message(type, `0a 40 ${flags} 00 ${le32(2)} | 1400 0100 ${text}`);
const route = (kind: number, table: number, oif: number, flags = 0) =>
  message(
    NEWROUTE,
    `02 00 00 00 fe 03 00 0${kind} ${le32(flags)} | 0800 0f00 ${le32(table)} | 0800 0400 ${le32(oif)}`,
  );

function listener(): NetworkChanges {
  return new NetworkChanges({ link: TUN, table: TABLE });
}

Deno.test("a link is news when its state changes, not when the kernel repeats it", () => {
  const changes = listener();
  const told = [
    link(NEWLINK, 2, UP),
    link(NEWLINK, 2, UP),
    link(NEWLINK, 2, DOWN),
    link(NEWLINK, 2, DOWN),
    link(NEWLINK, 2, UP),
    link(DELLINK, 2, DOWN),
    link(NEWLINK, 2, UP, "07"),
    link(NEWLINK, 1, UP | 8),
  ].map((one) => changes.isNews(one));
  assert.deepEqual(told, [true, false, true, false, true, true, false, false]);
});

Deno.test("an address is news when it comes, gets usable, goes; a renewed lifetime is none", () => {
  const changes = listener(), global = "20010db8000000000000000000000002";
  const told = [
    address4(NEWADDR, 2),
    address4(NEWADDR, 2),
    address4(DELADDR, 2),
    address6(NEWADDR, global, "c0"),
    address6(NEWADDR, global, "80"),
    address6(NEWADDR, global, "80"),
    address6(NEWADDR, "fe800000000000000000000000000002"),
  ].map((one) => changes.isNews(one));
  assert.deepEqual(told, [true, false, true, true, true, false, false]);
});

Deno.test("a route is news, but for the table of local addresses, cached and multicast ones", () => {
  const told = [
    route(1, 254, 2),
    route(7, 254, 2),
    route(1, 77, 2),
    route(2, 255, 2),
    route(1, 255, 2),
    route(5, 254, 2),
    route(1, 254, 2, 0x200),
  ].map((one) => listener().isNews(one));
  assert.deepEqual(told, [true, true, true, false, false, false, false]);
});

Deno.test("our own tunnel and our own routing table are no news", () => {
  const told = [
    link(NEWLINK, TUN, UP),
    link(DELLINK, TUN, DOWN),
    address4(NEWADDR, TUN),
    route(1, TABLE, 2),
    route(1, 254, TUN),
  ].map((one) => listener().isNews(one));
  assert.deepEqual(told, [false, false, false, false, false]);
});

Deno.test("after a loss everything may be news again", () => {
  const changes = listener();
  changes.isNews(link(NEWLINK, 2, UP));
  changes.forget();
  assert.equal(changes.isNews(link(NEWLINK, 2, UP)), true);
});

Deno.test("property: no message is too short, too long or too strange to be judged", () => {
  const changes = listener();
  fc.assert(fc.property(fc.nat(40), fc.uint8Array({ maxLength: 80 }), (type, body) => {
    assert.equal(typeof changes.isNews({ type, flags: 0, sequence: 0, body }), "boolean");
    for (const one of decodeMessages(body)) changes.isNews(one);
  }));
});

Deno.test("the monitor opens, never blocks and closes without any privilege", () => {
  const monitor = NetworkMonitor.open({ link: undefined, table: TABLE });
  assert.ok(monitor.fd >= 0);
  monitor.drain();
  monitor.close();
  monitor.close();
});

Deno.test("where the process may have no further file, the monitor says what to do", () => {
  if (!isMachineRoot()) return;
  const code = `
    const { NetworkMonitor } = await import(${
    JSON.stringify(new URL("../../ffi/netlink/mod.ts", import.meta.url).href)
  });
    const held = [];
    try {
      for (;;) held.push(NetworkMonitor.open({ link: undefined, table: 1 }));
    } catch (error) {
      for (const monitor of held) monitor.close();
      console.log(error.message);
    }`;
  const script = `ulimit -n 128; exec "$@"`;
  const output = run("sh", "-c", script, "sh", Deno.execPath(), "eval", "--ext=ts", code);
  assert.match(output, /^Cannot listen to changes of this host's network: .*Permit AF_NETLINK/);
});

namespaceTest(
  "the monitor hears links, addresses and routes of others come and go, and neither us nor noise",
  "network_monitor",
);
