import assert from "node:assert/strict";
import { mayConfigureNetwork } from "../../ffi/capabilities.ts";

const status = (uid: number, capabilities: string) =>
  `Name:\tdeno\nUid:\t1000\t${uid}\t1000\t1000\nCapPrm:\tffffffffffffffff\nCapEff:\t${capabilities}\n`;

Deno.test("effective root may configure the network, and so may effective CAP_NET_ADMIN", () => {
  assert.equal(mayConfigureNetwork(status(0, "0000000000000000")), true);
  assert.equal(mayConfigureNetwork(status(1000, "0000000000001000")), true);
  assert.equal(mayConfigureNetwork(status(1000, "000001ffffffffff")), true);
});

Deno.test("others may not, and nor may a process whose status can't be read", () => {
  assert.equal(mayConfigureNetwork(status(1000, "0000000000000000")), false);
  assert.equal(mayConfigureNetwork(status(1000, "000001ffffffefff")), false);
  assert.equal(mayConfigureNetwork(""), false);
});

Deno.test("this process's own status agrees with its uid", () => {
  const text = Deno.readTextFileSync("/proc/self/status");
  if (Deno.uid() === 0) assert.equal(mayConfigureNetwork(text), true);
});
