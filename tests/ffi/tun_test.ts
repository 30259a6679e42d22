import assert from "node:assert/strict";
import { Tun, TunError } from "../../ffi/deno_tun/mod.ts";
import { attachError, nodeError, openError } from "../../ffi/deno_tun/errors.ts";
import { namespaceTest } from "./namespace.ts";

Deno.test("a name that no interface can have is refused before anything else happens", () => {
  for (const name of ["", "1234567890123456", "a b", "a/b", "a:b", ".", "..", "a\0b", "ääääääää", "a\nb"]) {
    assert.throws(() => Tun.open({ name }), (error) => {
      assert.ok(error instanceof TunError);
      assert.equal(error.kind, "invalid-name", JSON.stringify(name));
      assert.match(error.message, /^Cannot create a network interface named .*Choose another name\.$/s);
      return true;
    });
  }
});

Deno.test("each failing step says what failed, why and what to do", () => {
  const cases: [TunError, string, RegExp][] = [
    [openError(13), "not-permitted", /permission denied.*Run as root/],
    [openError(2), "no-device", /no TUN driver.*modprobe tun/],
    [openError(19), "no-device", /no TUN driver/],
    [openError(24), "failed", /errno 24/],
    [
      nodeError("mknod", 1),
      "not-permitted",
      /Cannot make \/dev\/net\/tun: mknod.*mknod \/dev\/net\/tun c 10 200/,
    ],
    [nodeError("mkdir", 30), "no-device", /mkdir gave errno 30/],
    [attachError("tun0", 1), "not-permitted", /Cannot create the network interface tun0.*CAP_NET_ADMIN/],
    [attachError("tun0", 16), "name-taken", /another process is using it/],
    [attachError("tun0", 22), "name-taken", /an interface with this name exists/],
    [attachError("tun0", 12), "failed", /errno 12/],
  ];
  for (const [error, kind, text] of cases) {
    assert.equal(error.kind, kind);
    assert.match(error.message, text);
    assert.match(error.message, /^Cannot .*\.$/s);
  }
});

namespaceTest("a TUN carries packets both ways, alone on its name, and is gone when closed", "tun_packets");
namespaceTest(
  "with a vnet header, one read gives a whole UDP train and one write delivers one",
  "tun_offloads",
);
namespaceTest("without rights the error says so", "tun_unprivileged");
namespaceTest("a missing /dev/net/tun is made", "tun_node", {
  wrap: ["-m", "sh", "-c", 'mount -t tmpfs tmpfs /dev/net && exec "$@"', "sh"],
  machineRoot: true,
});
