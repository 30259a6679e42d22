import assert from "node:assert/strict";
import type { DeviceView, TokenView } from "../../../../mod/embedded/portal/control/mod.ts";
import { FAR_FUTURE } from "../../../../mod/embedded/portal/policy/policy.ts";
import { liveClient, liveGateway } from "../live_device.ts";
import { POLICY, portalFixture } from "./portal_fixture.ts";

Deno.test("an object that a verb adds is in force at once, and after a restart", async () => {
  await using portal = await portalFixture();
  const added = await portal.call("POST", "/objects/client", {
    name: "tablet",
    document: { groups: ["kids"] },
  });
  assert.deepEqual(added, {
    status: 200,
    body: {
      changes: [{ kind: "client", name: "tablet", change: "added", details: ["groups: kids"] }],
      losses: [],
    },
  });
  const document = { address: "10.30.0.9", allow: ["kids"] };
  assert.equal((await portal.call("POST", "/objects/resource", { name: "Printer", document })).status, 200);
  for (let run = 0; run < 2; run++) {
    const { policy } = portal.server;
    assert.deepEqual(policy.actors.map(({ name }) => name), ["laptop", "tablet"]);
    assert.deepEqual(policy.resources.map(({ name }) => name), ["Intranet", "Printer"]);
    const { body } = await portal.call<unknown[]>("GET", "/objects/client");
    assert.deepEqual(body, [
      { kind: "client", name: "laptop", madeBy: "file", values: { token: "(set)" } },
      { kind: "client", name: "tablet", madeBy: "verb", values: { groups: "kids" } },
    ]);
    await portal.restart();
  }
});

Deno.test("set changes what was given, takes back what is null, and leaves the rest", async () => {
  await using portal = await portalFixture();
  const conditions = { region_in: ["DE"], verified: true };
  const document = { resource: "Intranet", allow: ["everyone"], conditions };
  await portal.call("POST", "/objects/policy", { name: "Guests", document });
  const changes = { allow: ["laptop"], conditions: { region_in: null, time: ["mon 09:00-17:00 UTC"] } };
  const { body } = await portal.call("PATCH", "/objects/policy/Guests", { changes });
  assert.deepEqual(body.changes[0]!.details, [
    "allow: everyone → laptop",
    "conditions: region in DE; verified → verified; time mon 09:00-17:00 UTC",
  ]);
  await portal.restart();
  const shown = await portal.call("GET", "/objects/policy/Guests");
  assert.equal(shown.body.values.conditions, "verified; time mon 09:00-17:00 UTC");
});

Deno.test("what would make the policy invalid is refused whole, with its mistakes, and nothing is kept", async () => {
  await using portal = await portalFixture();
  const document = { address: "10.0.0.0/40", alow: [] };
  const refused = await portal.call("POST", "/objects/resource", { name: "Wiki", document });
  assert.equal(refused.status, 422);
  assert.deepEqual(refused.body.problems, ['resource "Wiki" (made by a verb): alow: unknown key']);
  await portal.restart();
  assert.deepEqual(portal.server.policy.resources.map(({ name }) => name), ["Intranet"]);
});

Deno.test("a name is taken once, by the file or by a verb", async () => {
  await using portal = await portalFixture();
  const twice = await portal.call("POST", "/objects/client", { name: "laptop", document: {} });
  assert.equal(twice.status, 409);
  assert.match(twice.body.error, /policy\.toml has a client "laptop" already/);
  await portal.call("POST", "/objects/site", { name: "work", document: {} }).then(({ status }) =>
    assert.equal(status, 422, "the file's gateway names no site, so there may be only one")
  );
  await portal.call("POST", "/objects/client", { name: "tablet", document: {} });
  const again = await portal.call("POST", "/objects/client", { name: "tablet", document: {} });
  assert.match(again.body.error, /there is a client "tablet" already/);
  Deno.writeTextFileSync(portal.policyPath, `${POLICY}[[client]]\nname = "tablet"\ntoken_file = "t"\n`);
  const reloaded = await portal.call("POST", "/reload");
  assert.equal(reloaded.status, 422);
  assert.match(
    reloaded.body.problems[0]!,
    /client "tablet" \(made by a verb\): name: "tablet" stands in .*:15, too; remove it there, or here/,
  );
});

Deno.test("removing what others refer to is refused with who refers to it", async () => {
  const policy = POLICY.replaceAll('name = "cellar"', 'name = "cellar"\nsite = "home"')
    .replace('address = "10', 'site = "home"\naddress = "10');
  await using portal = await portalFixture({ policy });
  await portal.call("POST", "/objects/site", { name: "work", document: {} });
  await portal.call("POST", "/objects/gateway", { name: "office", document: { site: "work" } });
  await portal.call("POST", "/objects/client", { name: "tablet", document: {} });
  const document = { address: "10.30.0.9", sites: ["work"], allow: ["tablet"] };
  await portal.call("POST", "/objects/resource", { name: "Printer", document });
  const rule = { resource: "Printer", allow: ["laptop"] };
  await portal.call("POST", "/objects/policy", { name: "Rule", document: rule });
  const refused = async (path: string) => {
    const { status, body } = await portal.call("DELETE", `/objects/${path}`);
    assert.equal(status, 409);
    return body.error;
  };
  assert.equal(
    await refused("site/work"),
    'gateway "office", resource "Printer" refer to it. Change that first.',
  );
  assert.equal(await refused("client/tablet"), 'resource "Printer" refers to it. Change that first.');
  assert.equal(await refused("resource/Printer"), 'policy "Rule" refers to it. Change that first.');
  assert.match(await refused("client/laptop"), /it stands in .*policy\.toml\. Edit that file/);
  for (const path of ["policy/Rule", "resource/Printer", "client/tablet", "gateway/office", "site/work"]) {
    assert.equal((await portal.call("DELETE", `/objects/${path}`)).status, 200, path);
  }
  assert.deepEqual(portal.server.administration.objects(), []);
});

Deno.test("a removed client takes its tokens along: its name begins anew", async () => {
  await using portal = await portalFixture();
  await portal.call("POST", "/objects/client", { name: "tablet", document: {} });
  await portal.call("POST", "/tokens", { name: "tablet" });
  await portal.call("DELETE", "/objects/client/tablet");
  await portal.call("POST", "/objects/client", { name: "tablet", document: {} });
  assert.deepEqual(portal.server.tokens(), []);
  await portal.restart();
  assert.deepEqual(portal.server.tokens(), []);
});

Deno.test("a portal without a state file keeps no objects, and says so", async () => {
  await using portal = await portalFixture({ state: false });
  const refused = await portal.call("POST", "/objects/client", { name: "tablet", document: {} });
  assert.equal(refused.status, 409);
  assert.match(refused.body.error, /keeps no state.*Start it with --state, or write it into the policy file/);
  assert.match((await portal.call("POST", "/backup", { path: "/tmp/x" })).body.error, /keeps no state/);
});

Deno.test("a token is told once; what is kept and listed is not the token", async () => {
  await using portal = await portalFixture();
  const { body } = await portal.call("POST", "/tokens", { name: "laptop", expiresAt: 4_000_000_000 });
  assert.match(body.token, /^[\w-]{43}$/);
  assert.equal(body.expiresAt, FAR_FUTURE);
  const { body: listed } = await portal.call<TokenView[]>("GET", "/tokens");
  assert.deepEqual(listed.map((one) => one.owner), ["laptop"]);
  assert.ok(!JSON.stringify(listed).includes(body.token));
  assert.ok(!JSON.stringify(portal.server.tokens()).includes(body.token));
  assert.ok(!portal.changes.join().includes(body.token));
});

Deno.test("a token needs an owner that is a gateway or a client, without doubt which", async () => {
  await using portal = await portalFixture();
  const cases: [body: unknown, status: number, error: RegExp][] = [
    [{ name: "nobody" }, 404, /no gateway or client is called "nobody"/],
    [{ name: "jane" }, 409, /"jane" is a user, who signs in at a browser/],
    [{ name: "laptop", role: "gateway" }, 404, /no gateway is called "laptop"/],
    [{ name: "laptop", expiresAt: 1 }, 400, /expired already/],
    [{ name: "both" }, 409, /a gateway and a client are called "both"/],
  ];
  await portal.call("POST", "/objects/user", { name: "jane", document: {} });
  await portal.call("POST", "/objects/client", { name: "both", document: {} });
  await portal.call("POST", "/objects/gateway", { name: "both", document: {} });
  for (const [request, status, error] of cases) {
    const answer = await portal.call("POST", "/tokens", request);
    assert.equal(answer.status, status);
    assert.match(answer.body.error, error);
  }
  assert.equal((await portal.call("POST", "/tokens", { name: "both", role: "gateway" })).status, 200);
});

Deno.test("rotating revokes the old tokens at once, or gives them a grace; by owner, or one by its id", async () => {
  await using portal = await portalFixture();
  const ids = () => portal.server.tokens().map(({ id }) => id);
  const first = (await portal.call("POST", "/tokens", { name: "laptop" })).body;
  const second = (await portal.call("POST", "/tokens/rotate", { name: "laptop", grace: 0 })).body;
  assert.deepEqual(second.replaced.map(({ id }) => id), [first.id]);
  assert.deepEqual(ids(), [second.id]);
  const third = (await portal.call("POST", "/tokens/rotate", { name: "laptop", grace: 3600 })).body;
  assert.deepEqual(ids(), [second.id, third.id]);
  const old = portal.server.tokens()[0]!;
  assert.ok(Math.abs(old.expiresAt - portal.server.unixNow() - 3600) <= 1);
  assert.equal(third.expiresAt, FAR_FUTURE);
  const fourth = (await portal.call("POST", "/tokens/rotate", { name: third.id, grace: 0 })).body;
  assert.deepEqual(ids(), [second.id, fourth.id]);
  assert.equal((await portal.call("DELETE", `/tokens/${fourth.id}`)).status, 200);
  assert.equal((await portal.call("DELETE", `/tokens/${fourth.id}`)).status, 404);
  await portal.restart();
  assert.deepEqual(ids(), [second.id]);
});

Deno.test("sessions are what signing in made; one is ended, or all of a user", async () => {
  await using portal = await portalFixture();
  await portal.call("POST", "/objects/user", { name: "jane", document: {} });
  const signIn = (token: string) =>
    portal.server.addToken(token, {
      role: "client",
      owner: "jane",
      providerId: "local",
      expiresAt: FAR_FUTURE,
    });
  const [first] = [signIn("one"), signIn("two"), signIn("three")];
  await portal.call("POST", "/tokens", { name: "laptop" });
  assert.equal((await portal.call<TokenView[]>("GET", "/sessions")).body.length, 3);
  assert.equal((await portal.call<TokenView[]>("GET", "/tokens")).body.length, 1);
  assert.equal((await portal.call("DELETE", `/tokens/${first!.id}`)).status, 404);
  assert.deepEqual((await portal.call("DELETE", `/sessions/${first!.id}`)).body, { revoked: [first!.id] });
  assert.equal((await portal.call("DELETE", "/sessions/jane")).body.revoked.length, 2);
  assert.equal((await portal.call("DELETE", "/sessions/jane")).status, 404);
  assert.deepEqual(portal.server.tokens().map(({ owner }) => owner), ["laptop"]);
});

Deno.test("preview says what a file would change and changes nothing; reload does it and says the same", async () => {
  await using portal = await portalFixture();
  const text = POLICY.replace('allow = ["laptop"]', "allow = []");
  const preview = await portal.call("POST", "/preview", { file: "new.toml", text, secrets: {} });
  assert.deepEqual(preview.body.losses, [{ actor: "laptop", resources: ["Intranet"] }]);
  assert.deepEqual(portal.server.policy.accessPolicies[0]!.allow, ["laptop"]);
  Deno.writeTextFileSync(portal.policyPath, text);
  assert.deepEqual((await portal.call("POST", "/reload")).body, preview.body);
  assert.deepEqual(portal.server.policy.accessPolicies[0]!.allow, []);
  Deno.writeTextFileSync(portal.policyPath, text.replace("[[site]]", "[[sight]]"));
  const refused = await portal.call("POST", "/reload");
  assert.equal(refused.status, 422);
  assert.match(refused.body.problems[0]!, /policy\.toml:2: sight: unknown key/);
  assert.equal(portal.server.policy.sites.length, 1);
});

Deno.test("an emptied file is not taken: it is probably being written", async () => {
  await using portal = await portalFixture();
  Deno.writeTextFileSync(portal.policyPath, "\n");
  const refused = await portal.call("POST", "/reload");
  assert.equal(refused.status, 422);
  assert.match(
    refused.body.problems[0]!,
    /it is empty, so it is not taken; if that is meant, write a comment/,
  );
  assert.equal(portal.server.policy.sites.length, 1);
  Deno.writeTextFileSync(portal.policyPath, "# Nobody.\n");
  assert.equal((await portal.call("POST", "/reload")).status, 200);
  assert.equal(portal.server.policy.sites.length, 0);
});

Deno.test("a token whose owner is gone from the file is listed as such, and works again with the owner", async () => {
  await using portal = await portalFixture();
  await portal.call("POST", "/tokens", { name: "laptop" });
  const orphans = async () =>
    (await portal.call<TokenView[]>("GET", "/tokens")).body.map((one) => one.isOrphan);
  assert.deepEqual(await orphans(), [false]);
  Deno.writeTextFileSync(portal.policyPath, '[[site]]\nname = "home"\n');
  await portal.call("POST", "/reload");
  assert.deepEqual(await orphans(), [true]);
  Deno.writeTextFileSync(portal.policyPath, POLICY);
  await portal.call("POST", "/reload");
  assert.deepEqual(await orphans(), [false]);
});

Deno.test("a verb doesn't bring half an edit of the file along", async () => {
  await using portal = await portalFixture();
  Deno.writeTextFileSync(portal.policyPath, "[[site");
  assert.equal((await portal.call("POST", "/objects/client", { name: "tablet", document: {} })).status, 200);
  assert.equal(portal.server.policy.actors.length, 2);
});

Deno.test("a changed token file is a changed token at the next reload", async () => {
  const policy = POLICY.replace('token = "laptop-token-0123456789"', 'token_file = "laptop.token"');
  await using portal = await portalFixture({ policy });
  const path = `${portal.folder}/laptop.token`;
  assert.match(Deno.readTextFileSync(path), /^[\w-]{43}\n$/);
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o600);
  Deno.writeTextFileSync(path, "another-token-0123456789\n");
  const { body } = await portal.call("POST", "/reload");
  assert.deepEqual(body.changes, [{
    kind: "client",
    name: "laptop",
    change: "changed",
    details: ["token changed"],
  }]);
});

Deno.test("any request that is none is refused with a reason", async () => {
  await using portal = await portalFixture();
  const cases: [method: string, path: string, body: unknown, status: number, error: RegExp][] = [
    ["GET", "/nowhere", undefined, 404, /there is nothing at GET \/nowhere/],
    ["GET", "/objects/planet", undefined, 404, /no such objects/],
    ["GET", "/objects/site/mars", undefined, 404, /there is no site "mars"/],
    ["POST", "/objects/client", "{", 400, /no JSON/],
    ["POST", "/objects/client", { name: 7, document: {} }, 400, /wrong at name/],
    ["POST", "/objects/client", { name: "x" }, 400, /wrong at document/],
    ["POST", "/objects/client", { name: "x", document: { name: "y" } }, 400, /the name is not in it/],
    ["PATCH", "/objects/client/x", { changes: { name: "y" } }, 400, /the name is not in it/],
    ["POST", "/objects/client", { name: "  ", document: {} }, 422, /printable characters/],
    ["POST", "/objects/client", { name: "x", document: {}, more: 1 }, 400, /wrong at more/],
    ["PATCH", "/objects/client/x", { changes: {} }, 404, /there is no client "x"/],
    ["POST", "/tokens/rotate", { name: "laptop", grace: -1 }, 400, /wrong at grace/],
    ["DELETE", "/devices/x", undefined, 404, /there is no device x/],
    ["POST", "/backup", { path: "relative" }, 400, /wrong at path/],
    ["POST", "/preview", { file: "f", text: "x".repeat(5 << 20), secrets: {} }, 400, /too long/],
  ];
  for (const [method, path, body, status, error] of cases) {
    const answer = await portal.call(method, path, body);
    assert.equal(answer.status, status, path);
    assert.match(answer.body.error, error);
  }
  assert.deepEqual(portal.changes, []);
});

Deno.test("the status says what there is", async () => {
  await using portal = await portalFixture();
  const { body } = await portal.call("GET", "/status");
  assert.deepEqual(body.entries, {
    site: 1,
    gateway: 1,
    client: 1,
    user: 0,
    resource: 1,
    policy: 0,
    relay: 0,
  });
  assert.deepEqual([body.online, body.devices, body.suspended], [{ gateways: 0, clients: 0 }, 0, undefined]);
});

Deno.test("devices: listed with their owner's name, verified, removed", async () => {
  await using portal = await portalFixture();
  const client = liveClient({ apiUrl: portal.server.url, token: "laptop-token-0123456789" });
  const gateway = liveGateway({ apiUrl: portal.server.url, token: "gateway-token-0123456789" });
  await Promise.all([client.diary.next("joined"), gateway.diary.next("joined")]);
  const list = async () => (await portal.call<DeviceView[]>("GET", "/devices")).body;
  const found = new Map((await list()).map((device) => [device.role, device]));
  assert.equal(found.get("client")!.owner, "laptop");
  assert.equal(found.get("gateway")!.owner, "home");
  assert.ok(found.get("client")!.session);
  const path = `/devices/${found.get("client")!.id}`;
  assert.equal((await portal.call("PATCH", path, { verified: true })).status, 200);
  assert.deepEqual((await list()).filter(({ verified }) => verified).map(({ role }) => role), ["client"]);
  assert.equal(
    (await portal.call("PATCH", `/devices/${found.get("gateway")!.id}`, { verified: true })).status,
    404,
  );
  assert.equal((await portal.call("DELETE", path)).status, 200);
  await client.diary.next("failed");
  assert.deepEqual((await list()).map(({ role }) => role), ["gateway"]);
  await portal.restart();
  assert.deepEqual((await list()).map(({ role }) => role), ["gateway"]);
  await Promise.all([client.connection.close(), gateway.connection.close()]);
});

Deno.test("a revoked token's devices are out within a second, a rotated one's at the end of the grace", async () => {
  await using portal = await portalFixture();
  const first = (await portal.call("POST", "/tokens", { name: "laptop" })).body;
  const second = (await portal.call("POST", "/tokens", { name: "cellar" })).body;
  const client = liveClient({ apiUrl: portal.server.url, token: first.token });
  const gateway = liveGateway({ apiUrl: portal.server.url, token: second.token });
  await Promise.all([client.diary.next("joined"), gateway.diary.next("joined")]);
  const started = performance.now();
  await portal.call("DELETE", `/tokens/${first.id}`);
  await client.diary.next("failed");
  assert.ok(performance.now() - started < 1_000);
  const rotated = (await portal.call("POST", "/tokens/rotate", { name: "cellar", grace: 1 })).body;
  const newer = liveGateway({ apiUrl: portal.server.url, token: rotated.token, id: "another" });
  await newer.diary.next("joined");
  await gateway.diary.next("failed");
  const taken = performance.now() - started;
  assert.ok(taken > 500 && taken < 4_000, `${taken}`);
  await Promise.all([client, gateway, newer].map(({ connection }) => connection.close()));
});
