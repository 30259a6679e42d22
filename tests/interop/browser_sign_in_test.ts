/**
 * Signing in with real Chromium: what a person sees and does at the pages of spec portal §4.9, with and without
 * scripts, on a phone and in the dark. POSTERN_SCREENSHOTS=folder keeps pictures.
 */
import assert from "node:assert/strict";
import { startPortal } from "../../mod/embedded/portal/mod.ts";
import { hashPassword } from "../../mod/embedded/portal/sign_in/mod.ts";
import { totpCode } from "../../mod/embedded/portal/sign_in/totp.ts";
import { CERTIFICATE, PRIVATE_KEY } from "../embedded/portal/certificate.ts";
import { policyOf } from "../embedded/portal/portal_world.ts";
import { connect } from "../embedded/portal/server/wire.ts";
import { Chromium, DESKTOP, hasBrowser, type Page, PHONE } from "./browser.ts";

const NONCE = "ab".repeat(32), STATE = "cd".repeat(32);
const DEVICE = `as=gui-client&nonce=${NONCE}&state=${STATE}`;
const PASSWORD = "correct horse battery staple";
const SECRET = new TextEncoder().encode("12345678901234567890");

async function picture(page: Page, name: string): Promise<void> {
  const folder = Deno.env.get("POSTERN_SCREENSHOTS");
  if (folder) await page.screenshot(`${folder}/sign-in-${name}.png`);
}

function code(): string {
  return totpCode(SECRET, Math.floor(Date.now() / 30_000));
}

/** The fragment, from the address that the page goes on to by itself. */
async function fragmentOf(page: Page): Promise<string> {
  const callback = "firezone-fd0020211111://handle_client_sign_in_callback?";
  const href = await page.evaluate<string>("document.querySelector('#open').href");
  assert.ok(href.startsWith(callback));
  for (let i = 0; i < 100 && !page.navigations.includes(href); i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(page.navigations.includes(href), "the browser goes on to the client by itself");
  const query = new URL(href).searchParams;
  assert.equal(query.get("state"), STATE);
  return query.get("fragment")!;
}

Deno.test({
  name:
    "people sign in with Chromium: password, one-time code, confirmation, without scripts, light and dark, on a phone",
  ignore: !hasBrowser(),
  async fn(t) {
    const hash = await hashPassword(PASSWORD);
    const policy = policyOf(`
[account]
slug = "acme"
[[user]]
name = "anna"
display_name = "Anna Müller"
password_hash = "${hash}"
[[user]]
name = "carl"
password_hash = "${hash}"
totp_secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
[[user]]
name = "root"
password_hash = "${hash}"
admin = true
`);
    const listen = { hostname: "127.0.0.1", port: 0 };
    const tls = { cert: CERTIFICATE, key: PRIVATE_KEY };
    const server = await startPortal({ policy, listen, relays: [], tls });
    const origin = `https://127.0.0.1:${server.port}`;
    const chromium = await Chromium.launch();
    try {
      let anna = await chromium.page(DESKTOP);
      const complaints: string[] = [];
      /** Another tab of hers: over the last one hangs Chromium's question whether to open the client. */
      const newTab = async () => {
        complaints.push(...anna.complaints);
        anna = await chromium.page(DESKTOP, anna);
      };

      await t.step("a wrong password is told, the right one hands a fragment to the client", async () => {
        await anna.setColorScheme("light");
        await anna.goto(`${origin}/acme?${DEVICE}`);
        await picture(anna, "form-light");
        await anna.fill("#name", "anna");
        await anna.fill("#password", "wrong");
        await anna.follow("button[type=submit]");
        assert.match(await anna.text(), /The name or the password is wrong\./);
        await picture(anna, "wrong-light");
        assert.equal(await anna.evaluate("document.querySelector('#name').value"), "anna");
        await anna.fill("#password", PASSWORD);
        await anna.enter();
        assert.match(await anna.text(), /Signed in as Anna Müller/);
        await picture(anna, "done-light");
        const fragment = await fragmentOf(anna);
        const device = await connect(server, { token: NONCE + fragment });
        await device.join();
        await device.close();
      });

      await t.step("the cookie is what it should be", async () => {
        const [cookie, ...others] = await anna.cookies();
        assert.deepEqual(others, []);
        const { name, httpOnly, secure, sameSite, path } = cookie!;
        assert.deepEqual({ name, httpOnly, secure, sameSite, path }, {
          name: "__Host-postern",
          httpOnly: true,
          secure: true,
          sameSite: "Lax",
          path: "/",
        });
        assert.equal(await anna.evaluate("document.cookie"), "");
      });

      await t.step("signed in already, another device is asked about first", async () => {
        await newTab();
        await anna.goto(`${origin}/?${DEVICE}`);
        assert.match(await anna.text(), /Sign in as Anna Müller on this device\?/);
        await picture(anna, "confirm-light");
        assert.equal(server.tokens().length, 1);
        await anna.press("Tab");
        await anna.enter();
        assert.match(await anna.text(), /Your client opens now/);
        assert.equal(server.tokens().length, 2);
      });

      await t.step("the front page lists devices and ends them", async () => {
        await newTab();
        await anna.goto(`${origin}/`);
        await anna.setColorScheme("dark");
        await picture(anna, "home-dark");
        assert.equal(await anna.evaluate("document.querySelectorAll('li').length"), 2);
        const { height } = await anna.evaluate<{ height: number }>(
          "document.querySelector('li button').getBoundingClientRect().toJSON()",
        );
        assert.ok(height < 50, "the button's word stands in one line");
        await anna.follow("li button");
        assert.equal(await anna.evaluate("document.querySelectorAll('li').length"), 1);
        assert.equal(server.tokens().length, 1);
        await anna.follow("main > form:last-of-type button");
        assert.match(await anna.text(), /Sign in to acme/);
      });

      await t.step("no complaint of the browser: nothing was blocked, nothing failed", () => {
        const expected = /401|Failed to launch|firezone-fd0020211111/;
        assert.deepEqual([...complaints, ...anna.complaints].filter((text) => !expected.test(text)), []);
      });

      await t.step("on a phone without scripts, with a one-time code, by keyboard alone", async () => {
        const carl = await chromium.page(PHONE);
        await carl.setJavaScript(false);
        await carl.setColorScheme("dark");
        await carl.goto(`${origin}/?${DEVICE}`);
        assert.equal(await carl.overflows(), false);
        await picture(carl, "form-phone-dark");
        await carl.send("Input.insertText", { text: "carl" }); // The name has the focus.
        await carl.press("Tab");
        await carl.send("Input.insertText", { text: PASSWORD });
        await carl.enter();
        assert.match(await carl.text(), /six digits/);
        await picture(carl, "code-phone-dark");
        await carl.send("Input.insertText", { text: "000000" });
        await carl.enter();
        assert.match(await carl.text(), /This code is wrong/);
        await carl.send("Input.insertText", { text: code() });
        await carl.enter();
        assert.match(await carl.text(), /Signed in as carl/);
        assert.equal(await carl.overflows(), false);
        await picture(carl, "done-phone-dark");
        await fragmentOf(carl);
      });

      await t.step("a client without a window: the token is there to copy, and fits a phone", async () => {
        const page = await chromium.page(PHONE);
        await page.goto(`${origin}/acme?as=headless-client`);
        await page.fill("#name", "anna");
        await page.fill("#password", PASSWORD);
        await page.enter();
        const token = await page.evaluate<string>("document.querySelector('#token').textContent");
        assert.equal(await page.overflows(), false);
        await picture(page, "token-phone-light");
        const device = await connect(server, { token, path: "/client/v2/websocket" });
        await device.join();
        await device.close();
      });

      await t.step("an admin is led to the admin pages, a broken link is explained", async () => {
        const page = await chromium.page(DESKTOP);
        await page.goto(`${origin}/?as=client&nonce=short`);
        assert.match(await page.text(), /This link is incomplete/);
        await picture(page, "incomplete-light");
        await page.goto(`${origin}/`);
        await page.fill("#name", "root");
        await page.fill("#password", PASSWORD);
        await page.enter();
        assert.equal(await page.evaluate("document.querySelector('#admin').pathname"), "/admin");
        await picture(page, "home-admin-light");
      });
    } finally {
      await chromium.close();
      await server.stop();
    }
  },
});
