/** A thousand devices behind one address, with one token, that come back at once. */
import assert from "node:assert/strict";
import { formatKey } from "../../../../mod/portal/key.ts";
import { connect, type Device, withPortal } from "./wire.ts";

const DEVICES = 1_000, DEADLINE_MS = 30_000;

Deno.test("a thousand devices of one address and one token reconnect at once: none is refused, all back in 30 s", async () => {
  const folder = await Deno.makeTempDir({ prefix: "postern-storm-" });
  const statePath = `${folder}/state.db`;
  try {
    let before = "";
    for (const round of ["first time", "after a restart"]) {
      await withPortal(async (server) => {
        const start = performance.now();
        const devices = await Promise.all(Array.from({ length: DEVICES }, (_, i) => join(server, i)));
        const milliseconds = performance.now() - start;
        assert.ok(milliseconds < DEADLINE_MS, `${round}: ${milliseconds.toFixed(0)} ms`);
        assert.equal(server.online().length, DEVICES);
        const addresses = server.online().map(({ id, ipv4 }) => `${id} ${ipv4}`).sort().join();
        if (before !== "") assert.equal(addresses, before, "with the addresses that they had");
        before = addresses;
        for (const { socket } of devices) socket.terminate();
      }, { statePath });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function join(server: { readonly url: string }, i: number): Promise<Device> {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, i + 1);
  const device = await connect(server, { externalId: `device ${i}`, publicKey: formatKey(key) });
  device.patience = DEADLINE_MS;
  await device.join();
  return device;
}
