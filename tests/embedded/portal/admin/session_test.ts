/** The admin pages behind the sign-in's own sessions, as the server mounts them. */
import assert from "node:assert/strict";
import { adminRoutes } from "../../../../mod/embedded/portal/admin/mod.ts";
import { PageBrowser, PageWorld, user } from "../sign_in/sign_in_world.ts";
import { AdminWorld, device } from "./admin_world.ts";
import { showcase } from "./showcase.ts";

const COOKIE = "__Host-postern";

/** The showcase, and a browser at which this user is signed in. */
function signedIn(admin: boolean): { world: AdminWorld; browser: PageBrowser; pages: PageWorld } {
  const rosa = user("rosa", { admin });
  const world = showcase(), pages = new PageWorld(rosa);
  const app = pages.app();
  const { live } = world;
  const options = { basePath: "", live, version: undefined, random: () => new Uint8Array(32), log: () => {} };
  app.route("/admin", adminRoutes(world, options));
  const browser = new PageBrowser(app);
  browser.cookies.set(COOKIE, pages.sessions.open(rosa));
  return { world, browser, pages };
}

Deno.test("an admin's forms work; without the page's proof, or from another site, nothing happens", async () => {
  const { world, browser } = signedIn(true);
  const one = world.deviceList.find(({ name }) => name === "Pixel 9")!;
  const path = `/admin/devices/${one.id}/disconnect`;
  await browser.get(`/admin/devices/${one.id}`);
  assert.equal((await browser.post(path)).status, 303);
  assert.deepEqual(world.deeds.splice(0), [`disconnect ${one.id}`]);
  await browser.get(`/admin/devices/${one.id}`);
  assert.equal((await browser.post(path, {}, { "sec-fetch-site": "cross-site" })).status, 403);
  await browser.get(`/admin/devices/${one.id}`);
  assert.equal((await browser.post(path, { csrf: "x" })).status, 403);
  browser.page = "";
  assert.equal((await browser.post(path)).status, 403);
  assert.deepEqual(world.deeds, []);
});

Deno.test("when the session ends, or the user is no admin any more, the pages are closed at once", async () => {
  const { browser, pages } = signedIn(true);
  assert.equal((await browser.get("/admin")).status, 200);
  pages.policy = { ...pages.policy, actors: [user("rosa", { admin: false })] };
  assert.equal((await browser.get("/admin")).status, 403);
  pages.policy = { ...pages.policy, actors: [user("rosa", { admin: true })] };
  pages.wait(10 * 3600);
  assert.equal((await browser.get("/admin")).headers.get("location"), "/?next=admin");
});

Deno.test("a user who is no admin can't act, even with a proof of a page of theirs", async () => {
  const { world, browser, pages } = signedIn(false);
  const csrf = pages.sessions.csrfToken(browser.cookies.get(COOKIE)!);
  const one = device("client", "anna", "Anna’s laptop");
  assert.equal(
    (await browser.post(`/admin/devices/${one.id}/verify`, { csrf, verified: "yes" })).status,
    403,
  );
  assert.match(browser.page, /For admins only/);
  assert.deepEqual(world.deeds, []);
});

Deno.test("commands on the pages name the address that the browser used, with TLS where it had it", async () => {
  const { world, browser } = signedIn(true);
  world.deviceList = [];
  await browser.get("/admin");
  assert.match(browser.page, /--api-url wss:\/\/portal\.example /);
});

Deno.test("a slash at the end leads to the page without it", async () => {
  const { browser } = signedIn(true);
  for (const [path, to] of [["/admin/", "/admin"], ["/admin/devices/?q=a", "/admin/devices?q=a"]] as const) {
    const response = await browser.get(path);
    assert.deepEqual([response.status, response.headers.get("location")], [301, to]);
    assert.equal((await browser.get(to)).status, 200);
  }
});
