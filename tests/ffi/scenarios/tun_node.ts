/** Started with an empty tmpfs on /dev/net, in a mount namespace of its own. */
import assert from "node:assert/strict";
import { Tun } from "../../../ffi/deno_tun/mod.ts";

assert.throws(() => Deno.statSync("/dev/net/tun"), Deno.errors.NotFound);
Tun.open({ name: "ffi-node" }).close();
const node = Deno.statSync("/dev/net/tun");
assert.equal(node.isCharDevice, true);
assert.equal(node.rdev, (10 << 8) | 200);
