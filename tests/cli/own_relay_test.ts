import assert from "node:assert/strict";
import { ownRelayPlaces } from "../../mod/cli/own_relay.ts";
import { SocketAddress } from "../../mod/packet/address.ts";

const relay = (v4: string, v6?: string) => ({
  id: "0d4c6b2a-7e8f-4a1b-b2c3-d4e5f6a7b855",
  v4: SocketAddress.parse(v4)!,
  ...(v6 !== undefined && { v6: SocketAddress.parse(v6)! }),
  username: "u",
  password: "p",
  expiresAt: 0,
});

Deno.test("the relay in this process is reached at this host's own address, any other where the portal says", () => {
  // The only addresses whose way is the same on every machine.
  const own = { v4: SocketAddress.parse("127.0.0.9:3478")!, v6: SocketAddress.parse("[::1]:3478")! };
  const places = ownRelayPlaces(own);
  assert.equal(places(relay("127.0.0.9:3478")).v4?.ip.startsWith("127.0.0."), true);
  assert.equal(places(relay("127.0.0.9:3478")).v4?.port, 3478);
  const other = relay("198.51.100.2:3478", "[2001:db8:1::2]:3478");
  assert.deepEqual(places(other), other);
  assert.equal(places(relay("127.0.0.9:3479")).v4?.key, "127.0.0.9:3479", "another port is another relay");
});
