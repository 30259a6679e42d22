import assert from "node:assert/strict";
import fc from "fast-check";
import { Dice } from "../../../fuzz/dice.ts";
import { change } from "../../../fuzz/json.ts";
import { portalFixture } from "./portal_fixture.ts";

/** What verbs ask for. */
const REQUESTS: readonly (readonly [method: string, path: string, body?: unknown])[] = [
  ["GET", "/status"],
  ["POST", "/reload"],
  ["POST", "/preview", { file: "f", text: '[[site]]\nname = "a"\n', secrets: { t: "secret-secret-secret" } }],
  ["GET", "/objects/client"],
  ["POST", "/objects/client", { name: "tablet", document: { groups: ["kids"], expires: "2031-01-01" } }],
  ["POST", "/objects/user", {
    name: "jane",
    document: { password_hash: "x", totp_secret: "JBSWY3DPEHPK3PXP" },
  }],
  ["POST", "/objects/resource", {
    name: "r",
    document: { address: "10.0.0.1", filters: ["tcp/1-2"], allow: [] },
  }],
  ["POST", "/objects/policy", {
    name: "p",
    document: {
      resource: "Intranet",
      allow: ["laptop"],
      conditions: { time: ["mon UTC"], remote_ip_in: ["::/0"] },
    },
  }],
  ["PATCH", "/objects/client/tablet", { changes: { groups: null, expires: "2032-01-01T00:00:00Z" } }],
  ["DELETE", "/objects/client/tablet"],
  ["POST", "/tokens", { name: "laptop", role: "client", expiresAt: 4_000_000_000 }],
  ["POST", "/tokens/rotate", { name: "laptop", grace: 60 }],
  ["DELETE", "/tokens/x"],
  ["DELETE", "/sessions/jane"],
  ["PATCH", "/devices/x", { verified: true }],
  ["DELETE", "/devices/x"],
];

Deno.test("any JSON to any route is done or refused with a reason; the portal lives and its policy stays whole", async () => {
  await using portal = await portalFixture();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1 }), async (seed) => {
      const dice = new Dice(seed);
      const [method, path] = dice.pick(REQUESTS);
      let body: unknown = structuredClone(dice.once(4) ? dice.pick(REQUESTS)[2] : undefined) ??
        structuredClone(REQUESTS.find((one) => one[1] === path)![2]);
      for (let changes = dice.below(5); changes > 0; changes--) body = change(body, dice, 6);
      const text = dice.once(10) ? "{" : JSON.stringify(body);
      const { status, body: answer } = await portal.call(method, path, method === "GET" ? undefined : text);
      assert.ok(
        status === 200 || (status >= 400 && status < 500),
        `${method} ${path} ${text}: ${status} ${answer.error}`,
      );
      if (status !== 200) assert.ok(answer.error.length > 0);
    }),
    { numRuns: 400 },
  );
  assert.equal(portal.server.suspended, undefined);
  await portal.restart();
  assert.ok(portal.server.policy.sites.length > 0);
});

Deno.test("any bytes as a path are refused with a reason", async () => {
  await using portal = await portalFixture();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom("GET", "POST", "DELETE"), fc.webPath(), async (method, path) => {
      const { status } = await portal.call(
        method,
        `/${path.replace(/^\/+/, "")}`,
        method === "GET" ? undefined : "{}",
      );
      assert.ok(status === 200 || (status >= 400 && status < 500), `${method} ${path}: ${status}`);
    }),
    { numRuns: 200 },
  );
});
