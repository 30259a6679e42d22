import assert from "node:assert/strict";
import { browserUser, csrfToken } from "../../../../mod/embedded/portal/sign_in/mod.ts";
import { signIn, signOut } from "../../../../mod/embedded/portal/sign_in/browser.tsx";
import type { UserPolicy } from "../../../../mod/embedded/portal/policy/policy.ts";
import { PageBrowser, PageWorld, user } from "./sign_in_world.ts";

const anna = user("anna");

function setUp() {
  const world = new PageWorld(anna, user("bert"));
  const app = world.app();
  app.get("/form", (c) => c.html(`<input type="hidden" name="csrf" value="${csrfToken(c)}">`));
  app.get("/who", (c) => c.text(browserUser(c)?.name ?? "nobody"));
  app.post("/in/:name", (c) => {
    signIn(c, world.policy.actors.find(({ name }) => name === c.req.param("name")) as UserPolicy);
    return c.text("in");
  });
  app.post("/out", (c) => {
    signOut(c);
    return c.text("out");
  });
  const visitor = () => new PageBrowser(app);
  const signedIn = async (name = "anna") => {
    const one = visitor();
    await one.get("/form");
    assert.equal((await one.post(`/in/${name}`)).status, 200);
    return one;
  };
  const who = async (one: PageBrowser) => await (await one.get("/who")).text();
  return { world, app, visitor, signedIn, who };
}

Deno.test("the session's cookie is for this host, HTTPS, HTTP only, same site, and for a working day", async () => {
  const { visitor } = setUp();
  const response = await visitor().get("/form");
  assert.match(
    response.headers.get("set-cookie")!,
    /^__Host-postern=[\w-]{43}; Max-Age=36000; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
  );
  const plain = await visitor().get("/form", { "x-test-plain": "1" });
  assert.match(
    plain.headers.get("set-cookie")!,
    /^postern=[\w-]{43}; Max-Age=36000; Path=\/; HttpOnly; SameSite=Lax$/,
  );
});

Deno.test("signing in changes the cookie: one that somebody planted before is worth nothing", async () => {
  const { visitor, who, app } = setUp();
  const anna = visitor();
  await anna.get("/form");
  const planted = anna.cookies.get("__Host-postern")!;
  await anna.post("/in/anna");
  assert.equal(await who(anna), "anna");
  const attacker = new PageBrowser(app);
  attacker.cookies.set("__Host-postern", planted);
  assert.equal(await who(attacker), "nobody");
});

Deno.test("signing out ends the session at the portal, not only in the browser", async () => {
  const { signedIn, who, app } = setUp();
  const anna = await signedIn();
  const stolen = new PageBrowser(app);
  stolen.cookies.set("__Host-postern", anna.cookies.get("__Host-postern")!);
  assert.equal(await who(stolen), "anna");
  await anna.get("/form");
  await anna.post("/out");
  assert.equal(await who(anna), "nobody");
  assert.equal(await who(stolen), "nobody");
});

Deno.test("a session ends after two hours of silence and after ten hours in any case", async () => {
  const { world, signedIn, who } = setUp();
  const idle = await signedIn(), busy = await signedIn();
  world.wait(2 * 3600 - 1);
  assert.equal(await who(busy), "anna");
  world.wait(1);
  assert.equal(await who(idle), "nobody");
  for (let hour = 2; hour < 9; hour++) {
    world.wait(3600);
    assert.equal(await who(busy), "anna");
  }
  world.wait(3600);
  assert.equal(await who(busy), "nobody");
});

Deno.test("a session ends with its user: removed, expired, or with another password", async () => {
  const changes: ((user: UserPolicy) => UserPolicy[])[] = [
    () => [],
    (one) => [{ ...one, expiresAt: 1_000_000_000 }],
    (one) => [{ ...one, passwordHash: "another" }],
  ];
  for (const change of changes) {
    const { world, signedIn, who } = setUp();
    const browser = await signedIn();
    world.policy = { ...world.policy, actors: change(anna) };
    assert.equal(await who(browser), "nobody");
    world.policy = { ...world.policy, actors: [anna] };
    assert.equal(await who(browser), "nobody", "it does not come back");
  }
});

Deno.test("a form without our token, with a token of another session, or from another site is refused", async () => {
  const { visitor, signedIn, who } = setUp();
  const anna = await signedIn(), bert = await signedIn("bert");
  await anna.get("/form");
  const refused = async (fields: Record<string, string>, headers: Record<string, string> = {}) => {
    assert.equal((await anna.post("/out", fields, headers)).status, 403);
    await anna.get("/form");
    assert.equal(await who(anna), "anna");
    await anna.get("/form");
  };
  await refused({ csrf: "" });
  await refused({ csrf: "x".repeat(43) });
  await bert.get("/form");
  await refused({ csrf: /value="([^"]+)"/.exec(bert.page)![1]! });
  await refused({}, { "sec-fetch-site": "cross-site" });
  await refused({}, { "sec-fetch-site": "same-site" });

  const response = await visitor().post("/out");
  assert.equal(response.status, 403);
});

Deno.test("a browser without Sec-Fetch-Site is judged by its Origin", async () => {
  const { world, app } = setUp();
  const id = world.sessions.newId();
  const post = async (headers: Record<string, string>) => {
    const response = await app.request("/out", {
      method: "POST",
      body: new URLSearchParams({ csrf: world.sessions.csrfToken(id) }),
      headers: { cookie: `__Host-postern=${id}`, ...headers },
    });
    return response.status;
  };
  assert.equal(await post({ origin: "https://portal.example" }), 200);
  assert.equal(await post({ origin: "null" }), 200);
  assert.equal(await post({}), 200);
  assert.equal(await post({ origin: "https://evil.example" }), 403);
  assert.equal(await post({ origin: "nonsense" }), 403);
});

Deno.test("a user has at most twenty sessions: the oldest ends", async () => {
  const { signedIn, who } = setUp();
  const bert = await signedIn("bert"), first = await signedIn();
  for (let i = 0; i < 19; i++) await signedIn();
  assert.equal(await who(first), "anna");
  await signedIn();
  assert.equal(await who(first), "nobody");
  assert.equal(await who(bert), "bert");
});
