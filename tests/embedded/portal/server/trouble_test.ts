/** Trouble inside: a store that can't be written, a handler that throws, readers that don't read. */
import assert from "node:assert/strict";
import { CoreRunner } from "../../../../mod/embedded/portal/server/core_runner.ts";
import { PortalCore } from "../../../../mod/embedded/portal/mod.ts";
import { Store } from "../../../../mod/embedded/portal/store/store.ts";
import { StoreError } from "../../../../mod/embedded/portal/store/store_error.ts";
import { policyOf, publicKey } from "../portal_world.ts";
import { PageBrowser, PASSWORD, PASSWORD_HASH } from "../sign_in/sign_in_world.ts";
import { connect, Device, dial, withPortal } from "./wire.ts";

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "postern-portal-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function eventually(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited in vain for ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** From now on writes fail as they do on a full disk. */
function fullDisk(path: string): { free(): void } {
  const { apply, probe } = Store.prototype;
  const refuse = () => {
    throw StoreError.of("write", path, new Error("database or disk is full"));
  };
  Store.prototype.apply = (events) => events.length > 0 && refuse();
  Store.prototype.probe = refuse;
  return { free: () => void Object.assign(Store.prototype, { apply, probe }) };
}

Deno.test("a state that can't be written: nothing is acknowledged, everybody gets 503, and it recovers by itself", async () => {
  await withFolder(async (folder) => {
    const statePath = `${folder}/state.db`;
    await withPortal(async (server, log) => {
      const before = await connect(server);
      await before.join();
      const full = fullDisk(statePath);
      const refused = await dial(server, { externalId: "new", publicKey: publicKey(9) });
      assert.ok(!(refused instanceof Device));
      assert.equal(refused.status, 503);
      assert.ok(Number(refused.retryAfter) >= 1);
      assert.equal(await before.closed(), 1013);
      assert.ok(server.suspended?.includes(statePath));
      assert.ok(log.some((line) => line.startsWith("warning: Cannot write the portal's state")));
      assert.throws(
        () =>
          server.addToken("x".repeat(32), {
            role: "client",
            owner: "laptop",
            providerId: undefined,
            expiresAt: 1,
          }),
        StoreError,
      );
      const health = await fetch(`${server.url.replace("ws:", "http:")}/healthz`);
      assert.equal(health.status, 503);
      assert.deepEqual(await health.json(), { status: "suspended" }, "strangers learn no paths");
      const again = await dial(server);
      assert.ok(!(again instanceof Device) && again.status === 503);

      full.free();
      await eventually(() => server.suspended === undefined);
      const after = await connect(server, { externalId: "new", publicKey: publicKey(9) });
      await after.join();
      await after.close();
    }, { statePath });
  });
});

Deno.test("signing in while nothing can be stored gives an apology, and no token", async () => {
  await withFolder(async (folder) => {
    const statePath = `${folder}/state.db`;
    const policy = policyOf(`[[user]]\nname = "anna"\npassword_hash = "${PASSWORD_HASH}"\n`);
    await withPortal(async (server) => {
      const base = server.url.replace("ws:", "http:");
      const browser = new PageBrowser({ request: (path, init) => fetch(base + path, init) });
      await browser.get("/?as=headless-client");
      const full = fullDisk(statePath);
      const response = await browser.post("/?as=headless-client", { name: "anna", password: PASSWORD });
      assert.equal(response.status, 503);
      assert.ok(Number(response.headers.get("retry-after")) >= 1);
      assert.match(browser.page, /can(&#39;|')t store anything at the moment/);
      assert.ok(!browser.page.includes('id="token"'));
      full.free();
      await eventually(() => server.suspended === undefined);
    }, { statePath, policy });
  });
});

Deno.test("an exception while a frame is handled ends that device's connection, and is logged", async () => {
  const { handleText } = PortalCore.prototype;
  PortalCore.prototype.handleText = function (id, text, now) {
    if (text.includes("boom")) throw new Error("the handler broke");
    return handleText.call(this, id, text, now);
  };
  try {
    await withPortal(async (server, log) => {
      const honest = await connect(server, { role: "gateway" }), other = await connect(server);
      await Promise.all([honest.join(), other.join()]);
      other.socket.send("boom");
      assert.equal(await other.closed(), 1011);
      assert.ok(log.some((line) => line.includes("the handler broke")));
      await honest.heartbeat();
      assert.deepEqual(server.online().map(({ role }) => role), ["gateway"]);
      await honest.close();
    });
  } finally {
    PortalCore.prototype.handleText = handleText;
  }
});

Deno.test("a device that asks and never reads is cut off before it takes much memory", async () => {
  await withPortal(async (server) => {
    const greedy = await connect(server), honest = await connect(server, { role: "gateway" });
    await Promise.all([greedy.join(), honest.join()]);
    greedy.socket.pause();
    // Each is answered with its ref.
    const ref = "r".repeat(100_000);
    const frame = JSON.stringify({ topic: "phoenix", event: "heartbeat", payload: {}, ref });
    for (let i = 0; i < 200; i++) greedy.socket.send(frame);
    await eventually(() => server.online().length === 1);
    await honest.heartbeat();
    greedy.socket.terminate();
    await honest.close();
  });
});

Deno.test("what fails outside of a device's frame is logged, and the portal goes on", () => {
  const log: string[] = [];
  const broken = {
    handleClosed: () => {
      throw new Error("the core broke");
    },
    pollEvent: () => undefined,
    pollTransmit: () => undefined,
    pollTimeout: () => undefined,
  } as unknown as PortalCore;
  const runner = new CoreRunner({ core: broken, store: undefined, log: (_level, text) => log.push(text) });
  runner.abandon(1);
  assert.match(log.join(), /goes on with the rest.*the core broke/);
  runner.stop();
});
