import assert from "node:assert/strict";
import { totpCode } from "../../../../mod/embedded/portal/sign_in/totp.ts";
import { PageBrowser, PageWorld, PASSWORD, user } from "./sign_in_world.ts";

const NONCE = "ab".repeat(32), STATE = "cd".repeat(32);
const DEVICE = `as=client&nonce=${NONCE}&state=${STATE}`;
const SECRET = new TextEncoder().encode("12345678901234567890");

function setUp() {
  return new PageWorld(
    user("anna", { displayName: `Anna "O'Hara" <a&b>` }),
    user("carl", { totpSecret: SECRET }),
    user("root", { admin: true }),
  );
}

async function signedIn(world: PageWorld, name = "anna"): Promise<PageBrowser> {
  const visitor = world.visitor();
  await visitor.get("/");
  assert.equal((await visitor.post("/", { name, password: PASSWORD })).status, 303);
  await visitor.get("/");
  return visitor;
}

/** The fragment that a page hands to the client, after the checks of a real one. */
function fragmentOf(page: string): string {
  const refresh = /<meta http-equiv="refresh" content="0; url=([^"]*)"/.exec(page)?.[1];
  const link = /<a class="button" id="open" href="([^"]*)"/.exec(page)?.[1];
  assert.ok(refresh, "the page goes on by itself");
  assert.equal(link, refresh);
  const url = new URL(refresh.replaceAll("&amp;", "&").replaceAll("&#39;", "'"));
  assert.equal(url.protocol, "firezone-fd0020211111:");
  assert.equal(url.host, "handle_client_sign_in_callback");
  for (const name of ["account_slug", "account_name", "actor_name", "fragment", "state"]) {
    assert.equal(url.searchParams.getAll(name).length, 1, name);
  }
  assert.equal(url.searchParams.get("state"), STATE);
  assert.equal(url.searchParams.get("account_slug"), "acme");
  assert.equal(url.searchParams.get("identity_provider_identifier"), "password");
  const fragment = url.searchParams.get("fragment")!;
  assert.match(fragment, /^\.[\w-]{43}$/);
  return fragment;
}

for (const as of ["client", "gui-client"]) {
  for (const path of ["/", "/acme"]) {
    Deno.test(`as=${as} at ${path}: password in, fragment out, and nonce + fragment is the user's token`, async () => {
      const world = setUp(), visitor = world.visitor();
      const url = `${path}?as=${as}&nonce=${NONCE}&state=${STATE}`;
      assert.equal((await visitor.get(url)).status, 200);
      assert.match(visitor.page, /Sign in to acme/);
      const response = await visitor.post(url, { name: "anna", password: PASSWORD });
      assert.equal(response.status, 200);
      const fragment = fragmentOf(visitor.page);
      assert.equal(world.ownerOf(NONCE + fragment), "anna");
      assert.equal(world.ownerOf(fragment), undefined, "half a token is none");
      const [token] = world.tokens();
      assert.deepEqual([token!.role, token!.providerId], ["client", "password"]);
      assert.equal(token!.expiresAt, world.unixNow() + 7 * 86_400);
      assert.match(visitor.page, /actor_name=Anna%20%22O(&#39;|')Hara%22%20%3Ca%26b%3E/);
    });
  }
}

Deno.test("a wrong password gives the form again with the name, and no token", async () => {
  const world = setUp(), visitor = world.visitor();
  await visitor.get(`/?${DEVICE}`);
  const response = await visitor.post(`/?${DEVICE}`, { name: "anna", password: "wrong" });
  assert.equal(response.status, 401);
  assert.match(visitor.page, /role="alert">The name or the password is wrong/);
  assert.match(visitor.page, /name="name" value="anna"/);
  assert.equal(world.tokens().length, 0);
  assert.ok(!visitor.page.includes('wrong"'));
});

Deno.test("a user with one-time codes: password, code, token; wrong code, no token", async () => {
  const world = setUp(), visitor = world.visitor();
  const code = (away = 0) => totpCode(SECRET, Math.floor(world.unixNow() / 30) + away);
  await visitor.get(`/?${DEVICE}`);
  assert.equal((await visitor.post(`/?${DEVICE}`, { name: "carl", password: PASSWORD })).status, 200);
  assert.match(visitor.page, /One-time code/);
  assert.equal(world.tokens().length, 0);
  assert.equal((await visitor.post(`/?${DEVICE}`, { code: "000000" })).status, 401);
  assert.match(visitor.page, /role="alert"/);
  assert.equal(world.tokens().length, 0);
  assert.equal((await visitor.post(`/?${DEVICE}`, { code: code() })).status, 200);
  assert.equal(world.ownerOf(NONCE + fragmentOf(visitor.page)), "carl");
});

Deno.test("after the password alone, a user with one-time codes is not signed in", async () => {
  const world = setUp(), visitor = world.visitor();
  await visitor.get("/");
  await visitor.post("/", { name: "carl", password: PASSWORD });
  await visitor.get("/");
  assert.match(visitor.page, /Sign in to acme/);
});

Deno.test("who is signed in already is asked before a device gets a token", async () => {
  const world = setUp(), anna = await signedIn(world);
  assert.equal((await anna.get(`/?${DEVICE}`)).status, 200);
  assert.match(anna.page, /Sign in as Anna &quot;O&#39;Hara&quot; &lt;a&amp;b&gt; on this device\?/);
  assert.equal(world.tokens().length, 0, "looking makes nothing");
  const forged = await anna.post(`/?${DEVICE}`, { csrf: "", step: "confirm" });
  assert.equal(forged.status, 403);
  assert.equal(world.tokens().length, 0);
  await anna.get(`/?${DEVICE}`);
  await anna.post(`/?${DEVICE}`, { step: "confirm" });
  assert.equal(world.ownerOf(NONCE + fragmentOf(anna.page)), "anna");
});

Deno.test("confirming without being signed in gives no token", async () => {
  const world = setUp(), visitor = world.visitor();
  await visitor.get(`/?${DEVICE}`);
  assert.equal((await visitor.post(`/?${DEVICE}`, { step: "confirm" })).status, 303);
  assert.equal(world.tokens().length, 0);
});

Deno.test("a device's request without a proper nonce and state is told so, and nothing is made", async () => {
  const world = setUp(), anna = await signedIn(world);
  for (
    const query of [
      "as=client",
      `as=client&nonce=${NONCE}`,
      `as=client&nonce=short&state=${STATE}`,
      "as=toaster",
    ]
  ) {
    assert.equal((await anna.get(`/?${query}`)).status, 400, query);
    assert.match(anna.page, /This link is incomplete/);
    await anna.get("/");
    assert.equal((await anna.post(`/?${query}`, { step: "confirm" })).status, 400);
    await anna.get("/");
    assert.equal(
      (await anna.post(`/?${query}`, { step: "password", name: "anna", password: PASSWORD })).status,
      400,
    );
  }
  assert.equal(world.tokens().length, 0);
});

Deno.test("a client without a window gets a whole token to copy", async () => {
  const world = setUp(), visitor = world.visitor();
  await visitor.get("/acme?as=headless-client");
  await visitor.post("/acme?as=headless-client", { name: "anna", password: PASSWORD });
  const token = /id="token"[^>]*>([^<]+)</.exec(visitor.page)![1]!;
  assert.match(token, /^\.[\w-]{43}$/);
  assert.equal(world.ownerOf(token), "anna");
  assert.ok(!visitor.page.includes("firezone-fd0020211111"));
});

Deno.test("a token ends with the user who got it", async () => {
  const world = new PageWorld(user("anna", { expiresAt: 1_753_347_600 + 3600 })), visitor = world.visitor();
  await visitor.get("/?as=headless-client");
  await visitor.post("/?as=headless-client", { name: "anna", password: PASSWORD });
  assert.equal(world.tokens()[0]!.expiresAt, 1_753_347_600 + 3600);
});

Deno.test("without a device: admins are led to the admin pages, others to their clients", async () => {
  const world = setUp();
  const anna = await signedIn(world);
  assert.match(anna.page, /open its client/);
  assert.ok(!anna.page.includes('href="/admin"'));
  const root = await signedIn(world, "root");
  assert.match(root.page, /href="\/admin"/);

  const visitor = world.visitor();
  await visitor.get("/?next=admin");
  const response = await visitor.post("/?next=admin", { name: "root", password: PASSWORD });
  assert.deepEqual([response.status, response.headers.get("location")], [303, "/admin"]);
  const other = world.visitor();
  await other.get("/?next=https://evil.example");
  const stays = await other.post("/?next=https://evil.example", { name: "root", password: PASSWORD });
  assert.equal(stays.headers.get("location"), "/?next=https://evil.example");
});

Deno.test("the front page lists the user's devices, and ends one when told; nobody else's", async () => {
  const world = setUp(), anna = await signedIn(world), carl = { role: "client", owner: "carl" } as const;
  world.addToken("carl's", { ...carl, providerId: "password", expiresAt: world.unixNow() + 100 });
  await anna.get("/?as=headless-client");
  await anna.post("/?as=headless-client", { step: "confirm" });
  await anna.get("/");
  const ids = () => [...anna.page.matchAll(/name="session" value="([^"]+)"/g)].map(([, id]) => id!);
  assert.deepEqual(ids(), ["token-2"]);
  await anna.post("/", { step: "revoke", session: "token-1" });
  assert.deepEqual(world.tokens().map(({ id }) => id), ["token-1", "token-2"]);
  await anna.get("/");
  assert.equal((await anna.post("/", { step: "revoke", session: "token-2" })).status, 303);
  assert.deepEqual(world.tokens().map(({ id }) => id), ["token-1"]);
});

Deno.test("signing out ends the browser's session, and leaves devices alone", async () => {
  const world = setUp(), anna = await signedIn(world);
  await anna.get("/?as=headless-client");
  await anna.post("/?as=headless-client", { step: "confirm" });
  await anna.get("/");
  assert.equal((await anna.post("/", { step: "sign_out" })).status, 303);
  await anna.get("/");
  assert.match(anna.page, /Sign in to acme/);
  assert.equal(world.tokens().length, 1);
});

Deno.test("expired sessions of a user are swept when another begins, and the oldest make room beyond a hundred", async () => {
  const world = setUp(), anna = await signedIn(world);
  const mint = async () => {
    await anna.get("/?as=headless-client");
    await anna.post("/?as=headless-client", { step: "confirm" });
  };
  world.addToken("old", {
    role: "client",
    owner: "anna",
    providerId: "password",
    expiresAt: world.unixNow(),
  });
  for (let i = 0; i < 103; i++) await mint();
  assert.equal(world.tokens().length, 100);
  assert.equal(world.ownerOf("old"), undefined);
});

Deno.test("too many attempts are told when to come back", async () => {
  const world = setUp(), visitor = world.visitor();
  for (let i = 0; i < 11; i++) {
    await visitor.get("/");
    const response = await visitor.post("/", { name: "anna", password: "wrong" });
    assert.equal(response.status, i < 10 ? 401 : 429);
    assert.equal(response.headers.get("retry-after"), i < 10 ? null : "20");
  }
  assert.match(visitor.page, /Too many attempts\. Try again in 20 seconds\./);
});

Deno.test("pages allow no script, no frame and nothing from elsewhere", async () => {
  const visitor = setUp().visitor();
  const response = await visitor.get("/");
  const policy = response.headers.get("content-security-policy")!;
  assert.match(
    policy,
    /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
  );
  assert.ok(!/<script|src=|style=|onclick/.test(visitor.page));
});

Deno.test("over a connection that others can read, people are warned before they type", async () => {
  const visitor = setUp().visitor();
  await visitor.get("/");
  assert.ok(!visitor.page.includes("not encrypted"));
  await visitor.get("/", { "x-test-plain": "1" });
  assert.match(visitor.page, /role="alert">This connection is not encrypted/);
});

Deno.test("what is typed into the form comes back as text, never as markup", async () => {
  const visitor = setUp().visitor();
  await visitor.get("/");
  await visitor.post("/", { name: `"><script>alert(1)</script>`, password: "x" });
  assert.ok(!visitor.page.includes("<script"));
});

Deno.test("neither password, code, nonce, state nor fragment is logged, and no name that isn't a user's", async () => {
  const world = setUp(), visitor = world.visitor();
  await visitor.get(`/?${DEVICE}`);
  await visitor.post(`/?${DEVICE}`, { name: "my-password-in-the-wrong-field", password: "wrong" });
  await visitor.post(`/?${DEVICE}`, { name: "anna", password: "a wrong one" });
  await visitor.post(`/?${DEVICE}`, { name: "anna", password: PASSWORD });
  const fragment = fragmentOf(visitor.page), log = world.logged.join("\n");
  assert.match(log, /anna signed a device in from 198\.51\.100\.7/);
  assert.match(log, /Somebody at 198\.51\.100\.7 gave a wrong password for anna\./);
  for (
    const secret of [
      "a wrong one",
      PASSWORD,
      NONCE,
      STATE,
      fragment.slice(1),
      "my-password-in-the-wrong-field",
    ]
  ) {
    assert.ok(!log.includes(secret), secret);
  }
});

Deno.test("other paths are not ours", async () => {
  const visitor = setUp().visitor();
  assert.equal((await visitor.get("/other-account")).status, 404);
  assert.equal((await visitor.get("/acme/more")).status, 404);
});
