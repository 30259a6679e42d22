/**
 * nginx and Caddy in front of the portal, with the very snippets of docs/self-hosting.md: devices get through, the
 * portal learns who they are, and what they say about themselves in headers is worth nothing.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { request } from "node:https";
import { BackgroundProcess, hasCommand } from "../../mod/embedded/testbed/mod.ts";
import { type PortalServer, startPortal } from "../../mod/embedded/portal/mod.ts";
import { CERTIFICATE, PRIVATE_KEY } from "../embedded/portal/certificate.ts";
import { policyOf } from "../embedded/portal/portal_world.ts";
import { PageBrowser, PASSWORD, PASSWORD_HASH } from "../embedded/portal/sign_in/sign_in_world.ts";
import { connect, TOKENS } from "../embedded/portal/server/wire.ts";

const START_MS = 10_000;
const FORGED = {
  "x-forwarded-for": "198.51.100.7",
  "x-forwarded-host": "evil.example",
  "x-geo-location-region": "DE",
};
const POLICY = `
[[site]]
name = "home"
[[gateway]]
name = "cellar"
token = "${TOKENS.gateway}"
[[client]]
name = "laptop"
token = "${TOKENS.client}"
[[user]]
name = "anna"
password_hash = "${PASSWORD_HASH}"
`;

function snippet(language: string): string {
  const text = Deno.readTextFileSync(new URL("../../docs/self-hosting.md", import.meta.url));
  return new RegExp("```" + language + "\\n([^]*?)```").exec(text)![1]!;
}

/** Puts another text in the place of one that must be there. */
function replaced(text: string, changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((all, [from, to]) => {
    assert.ok(all.includes(from), `the snippet has no ${from}`);
    return all.replaceAll(from, to);
  }, text);
}

interface Setting {
  readonly folder: string;
  readonly port: number;
  readonly portalPort: number;
}

const PROXIES = {
  nginx: async ({ folder, port, portalPort }: Setting) => {
    const server = replaced(snippet("nginx"), [
      ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
      ["/etc/letsencrypt/live/vpn.example.com/fullchain.pem", `${folder}/cert.pem`],
      ["/etc/letsencrypt/live/vpn.example.com/privkey.pem", `${folder}/key.pem`],
      ["127.0.0.1:8443", `127.0.0.1:${portalPort}`],
    ]);
    const user = Deno.uid() === 0 ? "user root;" : "";
    await Deno.writeTextFile(
      `${folder}/nginx.conf`,
      `daemon off; pid ${folder}/pid; error_log stderr; ${user} events {}\nhttp {\n${server}\n}\n`,
    );
    return new BackgroundProcess(["nginx", "-p", folder, "-c", `${folder}/nginx.conf`], { label: "nginx" });
  },
  caddy: async ({ folder, port, portalPort }: Setting) => {
    const site = replaced(snippet("caddyfile"), [
      ["vpn.example.com {", `https://127.0.0.1:${port} {\n  tls ${folder}/cert.pem ${folder}/key.pem`],
      ["127.0.0.1:8443", `127.0.0.1:${portalPort}`],
    ]);
    const global = "{\n  admin off\n  auto_https disable_redirects\n}\n";
    await Deno.writeTextFile(`${folder}/Caddyfile`, global + site);
    const command = ["caddy", "run", "--config", `${folder}/Caddyfile`, "--adapter", "caddyfile"];
    return new BackgroundProcess(command, { label: "caddy", env: { HOME: folder } });
  },
};

for (const [name, start] of Object.entries(PROXIES)) {
  Deno.test({
    name: `behind ${name}: devices and browsers get through, forged headers don't`,
    ignore: !isThere(name),
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: `postern-${name}-` });
      await Deno.writeTextFile(`${folder}/cert.pem`, CERTIFICATE);
      await Deno.writeTextFile(`${folder}/key.pem`, PRIVATE_KEY);
      const portal = await startPortal({
        policy: policyOf(POLICY),
        listen: { hostname: "127.0.0.1", port: 0 },
        relays: [],
        trustedProxies: ["127.0.0.1"],
      });
      const port = freePort();
      const proxy = await start({ folder, port, portalPort: portal.port });
      try {
        await listening(proxy, port);
        await useThrough(`127.0.0.1:${port}`, portal);
      } finally {
        await proxy.stop();
        await portal.stop();
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function useThrough(authority: string, portal: PortalServer): Promise<void> {
  for (const role of ["gateway", "client"] as const) {
    const device = await connect({ url: `wss://${authority}` }, { role, headers: FORGED });
    await device.join();
    await device.heartbeat();
    const details = portal.devices().find((one) => one.role === role)!;
    assert.deepEqual([details.session?.remoteIp, details.session?.region], ["127.0.0.1", undefined]);
    await device.close();
  }
  const browser = new PageBrowser({
    request: (path, init) => httpsRequest(`https://${authority}${path}`, init),
  });
  const page = await browser.get("/", FORGED);
  assert.match(page.headers.get("set-cookie")!, /^__Host-postern=.*; Secure;/);
  // As browsers send it that don't know Sec-Fetch-Site.
  const signedIn = await browser.post("/", { name: "anna", password: PASSWORD }, {
    origin: `https://${authority}`,
  });
  assert.equal(signedIn.status, 303);
  await browser.get("/");
  assert.match(browser.page, /Signed in as anna/);
}

/** `fetch` that doesn't mind a certificate which is its own authority. */
function httpsRequest(url: string, init: RequestInit): Promise<Response> {
  return new Promise((resolve, reject) => {
    const headers = Object.fromEntries(new Request(url, init).headers);
    const options = { method: init.method ?? "GET", headers, rejectUnauthorized: false, agent: false };
    const outgoing = request(url, options, (answer) => {
      const parts: Uint8Array[] = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => {
        const received = new Headers();
        for (let i = 0; i < answer.rawHeaders.length; i += 2) {
          received.append(answer.rawHeaders[i]!, answer.rawHeaders[i + 1]!);
        }
        resolve(new Response(Buffer.concat(parts), { status: answer.statusCode!, headers: received }));
      });
    });
    outgoing.on("error", reject);
    outgoing.end(init.body === undefined ? undefined : String(init.body));
  });
}

function isThere(program: string): boolean {
  if (hasCommand(program)) return true;
  if (Deno.env.get("CI")) throw new Error(`${program} is missing. Install Debian's ${program}.`);
  return false;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function listening(proxy: BackgroundProcess, port: number): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch (error) {
      if (proxy.status || performance.now() > deadline) throw new Error(`${error}\n${proxy.tail()}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
