/**
 * The admin pages in real Chromium: as they look (light, dark, on a phone), by keyboard, and kept up to date while
 * devices come and go. POSTERN_SCREENSHOTS=folder keeps pictures.
 */
import assert from "node:assert/strict";
import { type PortalServer, startPortal } from "../../mod/embedded/portal/mod.ts";
import { hashPassword } from "../../mod/embedded/portal/sign_in/mod.ts";
import {
  AdminWorld,
  device,
  EMPTY_POLICY,
  report,
  reported,
  session,
  site,
} from "../embedded/portal/admin/admin_world.ts";
import { showcase } from "../embedded/portal/admin/showcase.ts";
import { liveClient, liveGateway } from "../embedded/portal/live_device.ts";
import { policyOf, RELAY } from "../embedded/portal/portal_world.ts";
import { Chromium, DESKTOP, hasBrowser, type Page } from "./browser.ts";

const PASSWORD = "correct horse battery staple";
const NARROW = { width: 390, height: 844 };
const LOOKS = [["light", DESKTOP], ["dark", DESKTOP], ["light", NARROW], ["dark", NARROW]] as const;

async function picture(page: Page, name: string): Promise<void> {
  const folder = Deno.env.get("POSTERN_SCREENSHOTS");
  if (folder) await page.screenshot(`${folder}/admin-${name}.png`);
}

/** Texts whose contrast with what is behind them is below WCAG's AA (4.5, or 3 for large ones), in words. */
const FAINT_TEXTS = `(() => {
  const channels = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if ((channels(color)[3] ?? 1) === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = new Set();
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement;
    if (node.data.trim() === "" || ["SCRIPT", "STYLE", "OPTION"].includes(element.nodeName)) continue;
    const { width, height } = element.getBoundingClientRect();
    if (width < 2 || height < 2) continue;
    seen++;
    const style = getComputedStyle(element);
    const [a, b] = [luminance(style.color), luminance(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (contrast < (large ? 3 : 4.5)) faint.add(node.data.trim() + ": " + contrast.toFixed(2));
  }
  if (seen < 10) throw new Error("hardly any text was looked at");
  return [...faint];
})()`;

/** An app on a port of the loopback, for the length of `body`. */
async function serving(world: AdminWorld, body: (origin: string) => Promise<void>): Promise<void> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, world.app.fetch);
  try {
    await body(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

Deno.test({
  name: "admin pages in Chromium: light, dark and 390 px wide, nothing overflows, complains or is faint",
  ignore: !hasBrowser(),
  async fn() {
    const full = showcase();
    const [gateway, silent, laptop] = [full.deviceList[0]!, full.deviceList[2]!, full.deviceList[4]!];
    const visits: readonly (readonly [AdminWorld, string, string])[] = [
      [full, "overview", ""],
      [full, "gateways", "/gateways"],
      [full, "gateway", `/gateways/${gateway.id}`],
      [full, "gateway-silent", `/gateways/${silent.id}`],
      [full, "people", "/people"],
      [full, "person", "/people/anna"],
      [full, "devices", "/devices"],
      [full, "device", `/devices/${laptop.id}`],
      [full, "resources", "/resources"],
      [full, "resource", `/resources/${full.policy.resources[1]!.id}`],
      [full, "activity", "/activity"],
      [full, "sessions", "/sessions"],
      [new AdminWorld(), "empty", ""],
      ...["/devices", "/activity", "/gateways"].map((path) =>
        [longNames(), `long-${path.slice(1)}`, path] as const
      ),
    ];
    const chromium = await Chromium.launch();
    try {
      for (const [scheme, viewport] of LOOKS) {
        const page = await chromium.page(viewport);
        await page.setColorScheme(scheme);
        for (const [world, name, path] of visits) {
          await serving(world, async (origin) => {
            await page.goto(`${origin}/admin${path}`);
            const where = `${name}, ${scheme}, ${viewport.width} px`;
            await picture(page, `${name}-${scheme}-${viewport.width}`);
            assert.equal(await page.overflows(), false, `${where} overflows`);
            assert.deepEqual(await page.evaluate(FAINT_TEXTS), [], where);
            assert.equal(await page.evaluate("getComputedStyle(document.body).colorScheme"), "light dark");
          });
        }
        assert.deepEqual(page.complaints, []);
        // The measure itself: text in the colour of lines would be found.
        await page.evaluate(`document.documentElement.style.setProperty("--soft", "var(--line)")`);
        assert.notDeepEqual(await page.evaluate(FAINT_TEXTS), []);
      }
    } finally {
      await chromium.close();
    }
  },
});

/** Names as long as a device may choose them, without a place to break. */
function longNames(): AdminWorld {
  const world = new AdminWorld();
  const name = "x".repeat(255);
  const of = { id: site("office").id, name };
  const hostile = session({ userAgent: name });
  const gateway = device("gateway", of.id, name, { session: hostile });
  const client = device("client", name, name, { session: hostile });
  world.policy = { ...EMPTY_POLICY, sites: [of] };
  world.deviceList = [gateway, client];
  const at = world.now;
  world.handleReport(
    gateway,
    report([reported(client)], [
      {
        at,
        kind: "denied",
        client_id: client.id,
        resource_id: null,
        destination: name,
        protocol: name,
        port: 1,
      },
    ]),
    at,
  );
  return world;
}

async function portal(): Promise<PortalServer> {
  const hash = await hashPassword(PASSWORD);
  return await startPortal({
    policy: policyOf(`
[[site]]
name = "home"
[[gateway]]
name = "cellar"
site = "home"
token = "gateway-token-0123456789"
[[client]]
name = "laptop"
token = "token-of-the-file-0123456789"
[[user]]
name = "root"
display_name = "Rosa"
password_hash = "${hash}"
admin = true
[[resource]]
name = "Intranet"
site = "home"
address = "10.20.0.0/16"
allow = ["laptop"]
`),
    listen: { hostname: "127.0.0.1", port: 0 },
    relays: [RELAY],
    version: "1.2.3",
  });
}

async function signIn(page: Page, origin: string): Promise<void> {
  await page.goto(`${origin}/admin`);
  await page.fill("#name", "root");
  await page.fill("#password", PASSWORD);
  await page.enter();
}

Deno.test({
  name: "an admin signs in with Chromium, sees devices come, and puts one out",
  ignore: !hasBrowser(),
  async fn(t) {
    const server = await portal();
    const origin = `http://127.0.0.1:${server.port}`;
    const chromium = await Chromium.launch();
    const page = await chromium.page(DESKTOP);
    let gateway: ReturnType<typeof liveGateway> | undefined,
      client: ReturnType<typeof liveClient> | undefined;
    try {
      await t.step("the way to the admin pages leads through the sign-in and back", async () => {
        await signIn(page, origin);
        assert.equal(await page.url(), `${origin}/admin`);
        assert.match(await page.text(), /Rosa[\s\S]*Next steps[\s\S]*Postern 1\.2\.3/);
        const { headers } = await fetch(`${origin}/admin`, { redirect: "manual" });
        assert.equal(headers.get("x-frame-options"), "DENY");
        assert.equal(headers.get("cache-control"), "no-store");
        assert.equal(headers.get("x-content-type-options"), "nosniff");
        assert.match(headers.get("content-security-policy")!, /script-src 'sha256-/);
      });

      let token = "";
      await t.step("a token is made, shown once, and good", async () => {
        await page.goto(`${origin}/admin/sessions`);
        await page.evaluate(`document.querySelector("[name=for]").value = "client laptop"`);
        await page.follow("form.fields button");
        token = await page.evaluate<string>(`document.querySelector("pre").textContent`);
        assert.match(token, /^[\w-]{43}$/);
      });

      await t.step(
        "a gateway and a client appear by themselves, whatever somebody is doing on the page",
        async () => {
          await page.goto(`${origin}/admin/devices`);
          await page.fill("[name=q]", "half a wo");
          await page.evaluate(`document.querySelector("main h1").mark = "same"`);
          await page.evaluate(`getSelection().selectAllChildren(document.querySelector("main h1"))`);
          gateway = liveGateway({ apiUrl: server.url, token: "gateway-token-0123456789", dialect: "v2" });
          client = liveClient({ apiUrl: server.url, token, dialect: "v2" });
          await client.diary.next("init");
          await gateway.diary.next("init");
          await page.until(`document.querySelector("tbody")?.textContent.includes("online")`);
          assert.equal(await page.evaluate(`document.activeElement.value`), "half a wo");
          assert.equal(await page.evaluate(`document.querySelector("main h1").mark`), "same");
          assert.equal(await page.evaluate(`getSelection().toString()`), "Devices");
        },
      );

      await t.step("an open form stays open while the page changes around it", async () => {
        await page.goto(`${origin}/admin/sessions`);
        await page.click("details summary");
        server.addToken("another-token-0123456789", {
          role: "gateway",
          owner: "cellar",
          providerId: undefined,
          expiresAt: server.unixNow() + 3600,
        });
        await page.until(`document.querySelectorAll("tbody tr").length === 2`);
        const rows = `[...document.querySelectorAll("tbody tr")]`;
        assert.equal(
          await page.evaluate(`${rows}.filter((row) => row.querySelector("details[open]")).length`),
          1,
        );
        assert.match(
          await page.evaluate(`${rows}.find((row) => row.querySelector("details[open]")).textContent`),
          /laptop/,
        );
        assert.equal(await page.evaluate(`document.activeElement.nodeName`), "SUMMARY");
      });

      await t.step(
        "a page that is paused stands still, and catches up when it is told to go on",
        async () => {
          await page.goto(`${origin}/admin/sessions`);
          await page.click("#live");
          assert.equal(await page.evaluate(`document.querySelector("#live").textContent`), "Paused");
          server.addToken("third-token-0123456789", {
            role: "gateway",
            owner: "cellar",
            providerId: undefined,
            expiresAt: server.unixNow() + 3600,
          });
          await new Promise((resolve) => setTimeout(resolve, 6_000));
          assert.equal(await page.evaluate(`document.querySelectorAll("tbody tr").length`), 2);
          await page.click("#live");
          await page.until(`document.querySelectorAll("tbody tr").length === 3`);
          assert.equal(
            await page.evaluate(`document.querySelector("#live").getAttribute("aria-pressed")`),
            "true",
          );
        },
      );

      await t.step(
        "a page that nobody has touched for an hour pauses, so that its session can end",
        async () => {
          await page.evaluate(`(() => {
          const real = performance.now.bind(performance);
          performance.now = () => real() + 3_700_000;
        })()`);
          await page.until(`document.querySelector("#live").textContent === "Paused"`);
          await page.click("#live");
          assert.equal(await page.evaluate(`document.querySelector("#live").textContent`), "Live");
        },
      );

      await t.step("what the device may use is said, with the verified mark set and taken away", async () => {
        await page.goto(`${origin}/admin/devices`);
        await page.follow("tbody th a");
        assert.match(await page.text(), /Intranet\s+yes/);
        await page.click("details summary");
        await page.follow("details[open] button");
        assert.match(await page.text(), /Marked as verified\.[\s\S]*Verified\s+yes/);
        assert.doesNotMatch(await page.url(), /done/);
        assert.equal(server.devices().find(({ role }) => role === "client")!.verified, true);
      });

      await t.step("revoking the session puts the device out at once, and the page says so", async () => {
        await page.click("details:last-of-type summary");
        await page.follow("details[open] button");
        assert.match(await page.text(), /Revoked\. Devices that came with it are out\./);
        assert.equal((await client!.diary.next("failed")).error.kind, "token_expired");
        await page.goto(`${origin}/admin/devices`);
        assert.match(await page.text(), /1 device, 0 online/);
        assert.equal(server.tokens().filter(({ owner }) => owner === "laptop").length, 0);
      });

      await t.step(
        "when the portal is gone the page says that it may be out of date, and is asked no more",
        async () => {
          assert.deepEqual(page.complaints, []);
          await gateway!.connection.close();
          await server.stop();
          await page.until(`document.querySelector("#trouble").textContent.includes("out of date")`);
          assert.match(await page.text(), /1 device, 0 online/);
        },
      );
    } finally {
      await client?.connection.close();
      await gateway?.connection.close();
      await chromium.close();
      await server.stop();
    }
  },
});

Deno.test({
  name: "the admin pages are used by keyboard alone, and without scripts",
  ignore: !hasBrowser(),
  async fn(t) {
    const server = await portal();
    const origin = `http://127.0.0.1:${server.port}`;
    const record = server.addToken("laptop-token-0123456789", {
      role: "client",
      owner: "laptop",
      providerId: undefined,
      expiresAt: server.unixNow() + 86_400,
    });
    const chromium = await Chromium.launch();
    const page = await chromium.page(DESKTOP);
    const focused = () =>
      page.evaluate<string>(`document.activeElement.textContent.trim() || document.activeElement.name`);
    const outlined = () =>
      page.evaluate<boolean>(`getComputedStyle(document.activeElement).outlineStyle !== "none"`);
    try {
      await t.step("Tab goes through the page in the order of reading, each stop is seen", async () => {
        await signIn(page, origin);
        await page.goto(`${origin}/admin/sessions`);
        const stops: string[] = [];
        for (let i = 0; i < 14; i++) {
          await page.press("Tab");
          stops.push(await focused());
          assert.ok(await outlined(), `${stops.at(-1)} shows no focus`);
        }
        assert.deepEqual(stops, [
          "Skip to content",
          "Postern",
          "Overview",
          "Gateways",
          "People",
          "Devices",
          "Resources",
          "Activity",
          "Sessions",
          "Sign out",
          "q",
          "Show",
          "laptop",
          "Revoke…",
        ]);
      });

      await t.step("the first stop skips to the content", async () => {
        await page.goto(`${origin}/admin/sessions`);
        await page.press("Tab");
        await page.press("Enter");
        await page.press("Tab");
        assert.equal(await focused(), "q");
      });

      await t.step("Enter opens the question, and a second one revokes", async () => {
        while (await focused() !== "Revoke…") await page.press("Tab");
        await page.press("Enter");
        await page.press("Tab");
        assert.equal(await focused(), "Revoke");
        await page.enter();
        assert.match(await page.text(), /Revoked\./);
        assert.equal(server.tokens().some(({ id }) => id === record.id), false);
        assert.deepEqual(page.complaints, []);
      });

      await t.step("without scripts the pages show the same, and actions work", async () => {
        const { id } = server.addToken("laptop-token-0123456789", {
          role: "client",
          owner: "laptop",
          providerId: undefined,
          expiresAt: server.unixNow() + 86_400,
        });
        await page.setJavaScript(false);
        await page.goto(`${origin}/admin/sessions`);
        assert.equal(await page.evaluate(`document.querySelector("#live").hidden`), true);
        await page.click("details summary");
        await page.follow("details[open] button");
        assert.match(await page.text(), /Revoked\.[\s\S]*Times are UTC\./);
        assert.equal(server.tokens().some((token) => token.id === id), false);
        await page.setJavaScript(true);
      });

      await t.step("signing out leads out", async () => {
        await page.goto(`${origin}/admin`);
        await page.follow(".who button");
        await page.goto(`${origin}/admin`);
        assert.match(await page.url(), /next=admin/);
      });
    } finally {
      await chromium.close();
      await server.stop();
    }
  },
});
