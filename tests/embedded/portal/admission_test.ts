import assert from "node:assert/strict";
import { isProblem } from "../../../mod/embedded/portal/core/admission.ts";
import { GATEWAY_KEY } from "../../portal/support.ts";
import { find, POLICY, PortalWorld, publicKey, resourceId } from "./portal_world.ts";

Deno.test("a device keeps id and addresses for ever, under the same owner", () => {
  const world = new PortalWorld();
  const first = find(world.connect("laptop").take(), "init").interface;
  const other =
    find(world.connect("phone", { externalId: "laptop", publicKey: publicKey(7) }).take(), "init").interface;
  assert.notEqual(other.ipv4, first.ipv4);
  const later = new PortalWorld({ stored: world.stored() });
  assert.deepEqual(
    find(later.connect("laptop", { publicKey: publicKey(8) }).take(), "init").interface,
    first,
  );
});

Deno.test("a session's end disconnects with token_expired, and the token opens nothing any more", () => {
  const expires = 'name = "laptop"\nexpires = 2025-07-24T09:01:00Z'; // a minute after the world begins
  const world = new PortalWorld({ text: POLICY.replace('name = "laptop"', expires) });
  const gateway = world.connect("cellar"), client = world.connect("laptop");
  const init = find(client.take(), "init");
  assert.equal(init.relays[0]!.expires_at, 1_753_347_660);
  client.say("create_flow", { resource_id: resourceId(world, "Intranet"), connected_gateway_ids: [] });
  assert.equal(find(gateway.take(), "authorize_flow").expires_at, 1_753_347_660);
  assert.equal(world.stored().grants.length, 1);
  world.wait(30_000);
  client.say("heartbeat", {}, "phoenix");
  assert.equal(client.closedWith, undefined);
  world.wait(31_000);
  assert.deepEqual(find(client.take(), "disconnect"), { reason: "token_expired" });
  assert.equal(client.closedWith, 1000);
  assert.throws(() => world.connect("laptop"), /invalid_token/);
  for (let i = 0; i < 3; i++) {
    gateway.say("heartbeat", {}, "phoenix");
    world.wait(30_000);
  }
  assert.deepEqual(world.stored().grants, []);
  assert.ok(!gateway.heard().includes("reject_access"));
});

Deno.test("logins: what is refused, and with which status and code", () => {
  const { core } = new PortalWorld();
  const attempt = {
    role: "gateway" as const,
    dialect: "v1" as const,
    token: "gateway-token-0123456789",
    externalId: "x",
    name: "x",
    publicKey: GATEWAY_KEY,
    userAgent: "",
    vsn: undefined,
    remoteIp: "198.51.100.20",
    region: undefined,
  };
  const refused = (changes: object) => {
    const answer = core.admit({ ...attempt, ...changes });
    return isProblem(answer) ? `${answer.status} ${answer.code}` : "welcome";
  };
  assert.equal(refused({}), "welcome");
  assert.equal(refused({ vsn: "1.0.0", name: undefined, token: " gateway-token-\n0123456789" }), "welcome");
  assert.equal(refused({ token: undefined }), "401 missing_token");
  assert.equal(refused({ token: "gateway-token-012345678" }), "401 invalid_token");
  assert.equal(refused({ role: "client" }), "401 invalid_token");
  assert.equal(refused({ publicKey: undefined }), "400 invalid_connect_params");
  assert.equal(refused({ publicKey: "AAAA" }), "400 invalid_connect_params");
  assert.equal(refused({ externalId: "" }), "400 invalid_connect_params");
  assert.equal(refused({ name: "x".repeat(256) }), "400 invalid_connect_params");
  assert.equal(refused({ vsn: "2.0.0" }), "400 invalid_connect_params");
});

Deno.test("another device's public key is refused while that device is there", () => {
  const world = new PortalWorld();
  const device = world.connect("laptop");
  assert.throws(() => world.connect("phone"), /another device uses it/);
  device.hangUp();
  world.connect("phone");
});
