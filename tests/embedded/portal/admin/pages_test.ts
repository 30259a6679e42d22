/** The admin pages as a browser gets them: who may see them, what they say, and that nobody's text gets out of hand. */
import assert from "node:assert/strict";
import {
  AdminWorld,
  allow,
  CSRF,
  device,
  EMPTY_POLICY,
  grant,
  NOW,
  report,
  reported,
  resource,
  session,
  site,
  user,
} from "./admin_world.ts";
import { showcase } from "./showcase.ts";

/** The visible text of a page's main part. */
function textOf(page: string): string {
  const main = /<main.*<\/main>/s.exec(page)?.[0] ?? page;
  return main.replace(/<[^>]+>/g, " ").replace(/\s+/g, " ").replace(/ ([,.:;])/g, "$1").replaceAll(
    "&#39;",
    "'",
  ).replaceAll(
    "&quot;",
    '"',
  );
}

/** The row of a table that begins with this text. */
function rowOf(page: string, text: string): string {
  const rows = [...page.matchAll(/<tr [^>]*data-key.*?<\/tr>/gs)].map(([row]) => textOf(row).trim());
  const found = rows.find((row) => row.startsWith(text));
  assert.ok(found, `no row ${text} among ${rows.join(" | ")}`);
  return found;
}

function paths(world: AdminWorld): string[] {
  const { deviceList, policy } = world;
  return [
    "",
    "/gateways",
    "/people",
    "/devices",
    "/resources",
    "/activity",
    "/sessions",
    ...deviceList.map(({ role, id }) => `/${role === "gateway" ? "gateways" : "devices"}/${id}`),
    ...policy.actors.map(({ name }) => `/people/${encodeURIComponent(name)}`),
    ...policy.resources.map(({ id }) => `/resources/${id}`),
  ].map((path) => `/admin${path}`);
}

Deno.test("a browser without a session is sent to sign in, and comes back to the admin pages", async () => {
  const world = showcase();
  world.currentUser = undefined;
  for (const path of paths(world)) {
    const response = await world.app.request(path);
    assert.deepEqual([response.status, response.headers.get("location")], [303, "/?next=admin"]);
    assert.equal(await response.text(), "");
  }
});

Deno.test("who is no admin sees nothing and changes nothing", async () => {
  for (const [who, status] of [[undefined, 401], [user("anna"), 403]] as const) {
    const world = showcase();
    world.currentUser = who;
    const [token, one] = [world.tokenList[0]!, world.deviceList[4]!];
    for (
      const path of [
        `/sessions/${token.id}/revoke`,
        "/sessions",
        `/devices/${one.id}/verify`,
        `/devices/${one.id}/disconnect`,
      ]
    ) {
      const response = await world.post(`/admin${path}`, { for: "client backup-server", days: "7" });
      assert.equal(response.status, status);
    }
    assert.deepEqual(world.deeds, []);
    if (who) assert.match(textOf(await world.get("/admin")), /for users with admin = true/);
    assert.doesNotMatch(await world.get("/admin/devices"), /laptop/);
  }
});

Deno.test("every page is there, has one main heading, and lets in nothing but its own style and script", async () => {
  const world = showcase();
  for (const path of paths(world)) {
    const response = await world.app.request(path);
    assert.equal(response.status, 200, path);
    const page = await response.text();
    assert.equal([...page.matchAll(/<h1>/g)].length, 1, path);
    assert.match(page, /^<!DOCTYPE html><html lang="en">/);
    assert.doesNotMatch(page, /\b(on\w+|style)="/, "inline handlers and styles");
    assert.doesNotMatch(page, /(src|href)="https?:/, "assets from elsewhere");
    const policy = response.headers.get("content-security-policy")!;
    for (const element of ["style", "script"]) {
      const text = new RegExp(`<${element}>(.*?)</${element}>`, "s").exec(page)![1]!;
      const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
      assert.ok(policy.includes(`${element}-src 'sha256-${new Uint8Array(hash).toBase64()}'`), element);
    }
    assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
  }
});

Deno.test("GET changes nothing: paths of actions answer it with 404", async () => {
  const world = showcase();
  const [token, one] = [world.tokenList[0]!, world.deviceList[4]!];
  for (
    const path of [
      `/sessions/${token.id}/revoke`,
      `/devices/${one.id}/verify`,
      `/devices/${one.id}/disconnect`,
    ]
  ) {
    assert.equal((await world.app.request(`/admin${path}?verified=yes`)).status, 404);
  }
  assert.deepEqual(world.deeds, []);
});

Deno.test("what is not there is said with 404, in the frame of the pages", async () => {
  const world = showcase();
  for (
    const path of ["/nowhere", "/devices/unknown", "/people/nobody", `/devices/${world.deviceList[0]!.id}`]
  ) {
    const response = await world.app.request(`/admin${path}`);
    assert.equal(response.status, 404, path);
    assert.match(textOf(await response.text()), /Not found/);
  }
});

Deno.test("every form that changes something carries the CSRF field, and is a POST", async () => {
  const world = showcase();
  for (const path of paths(world)) {
    for (const [form] of (await world.get(path)).matchAll(/<form .*?<\/form>/gs)) {
      if (!/method="post"/.test(form)) assert.match(form, /method="get" role="search"/);
      else assert.ok(form.includes(`<input type="hidden" name="csrf" value="${CSRF}" />`), form);
    }
  }
});

const NASTY = [
  `<script>alert(1)</script>`,
  `"><img src=x onerror=alert(1)>`,
  `' onmouseover='alert(1)`,
  `</title><svg/onload=alert(1)>`,
  `javascript:alert(1)`,
  `\u202Eexe.tpircs`,
  `a\u0000b\r\nSet-Cookie: x`,
  `x`.repeat(500),
];

Deno.test("nasty names in every field stay text on every page", async () => {
  for (const nasty of NASTY) {
    const world = new AdminWorld();
    const place = { id: site("office").id, name: nasty };
    const wiki = resource(nasty, "10.0.0.0/8", { description: nasty, siteIds: [place.id] });
    const hostile = session({
      userAgent: nasty,
      region: nasty,
      version: "1.5.0",
      providerId: nasty,
      remoteIp: nasty,
    });
    const gateway = device("gateway", place.id, nasty, { session: hostile });
    const client = device("client", nasty, nasty, { externalId: nasty, session: hostile });
    world.policy = {
      ...EMPTY_POLICY,
      sites: [place],
      gateways: [{ name: nasty, siteId: place.id, token: undefined }],
      actors: [
        { kind: "client", name: `${nasty}!`, token: undefined, groups: [nasty], expiresAt: NOW + 60 },
        user("x", { name: nasty, displayName: nasty, email: nasty, groups: [nasty] }),
      ],
      resources: [wiki],
      accessPolicies: [
        { ...allow(wiki, [nasty, "someone"]), name: nasty },
        allow(wiki, [nasty], [
          { property: "provider_id", negated: false, providers: [nasty] },
          { property: "remote_ip_location_region", negated: true, regions: [nasty] },
        ]),
      ],
    };
    world.currentUser = user("x", { displayName: nasty, admin: true });
    world.deviceList = [gateway, client];
    world.grantList = [grant(client, wiki, gateway)];
    world.addToken(nasty, { role: "client", owner: nasty, providerId: nasty, expiresAt: NOW + 60 });
    world.relayList = [{ id: wiki.id, name: nasty, addresses: [nasty] }];
    const flow = {
      at: NOW,
      client_id: client.id,
      resource_id: wiki.id,
      destination: nasty,
      protocol: nasty,
      port: 80,
    };
    world.handleReport(
      gateway,
      report([reported(client)], [{ ...flow, kind: "flow" }, { ...flow, kind: "denied" }], {
        version: nasty,
        relays: [{ id: wiki.id, ready: true, rtt_ms: 1 }],
      }),
      NOW,
    );
    world.happenings.push({
      at: NOW,
      count: 1,
      kind: "login_refused",
      role: nasty,
      remoteIp: nasty,
      name: nasty,
      code: nasty,
      detail: nasty,
    });
    world.live.handleProblem(nasty, NOW);
    const query = `?q=${encodeURIComponent(nasty)}&client=${encodeURIComponent(nasty)}&page=${
      encodeURIComponent(nasty)
    }`;
    for (
      const path of [
        ...paths(world),
        `/admin/devices${query}`,
        `/admin/activity${query}`,
        `/admin/people${query}`,
      ]
    ) {
      const page = await world.get(path);
      const markup = page.replace(/<(style|script)>.*?<\/\1>/gs, "");
      assert.doesNotMatch(markup, /<script|<img|<svg\//i, path);
      for (const [tag] of markup.matchAll(/<[^>]*>/g)) {
        assert.doesNotMatch(tag.replace(/"[^"]*"/g, ""), /alert|onmouse/, `${path}: ${tag}`);
        assert.doesNotMatch(tag, /(href|action)="\s*javascript:/i, `${path}: ${tag}`);
      }
      // Names are in links' addresses, where they are encoded; nowhere else do they turn text around.
      assert.doesNotMatch(
        markup.replace(/ value="[^"]*"/g, "").replace(/ data-key="[^"]*"/g, ""),
        /\u202E|\0/,
        path,
      );
    }
  }
});

Deno.test("a gateway without reports has no live data, rather than zeros", async () => {
  const world = showcase();
  const silent = world.deviceList.find(({ name }) => name === "dc-gw")!;
  const page = textOf(await world.get(`/admin/gateways/${silent.id}`));
  assert.match(page, /No live data from this gateway/);
  assert.doesNotMatch(page, /Traffic|Connected clients|\b0 bit/);
  assert.match(
    rowOf(await world.get("/admin/gateways"), "dc-gw"),
    /online .* 1\.4\.12 2001:db8:77::5 no live data –/,
  );
});

Deno.test("a gateway's page shows path, round trip, rates and totals of each client, and its relays", async () => {
  const world = showcase();
  const page = await world.get(`/admin/gateways/${world.deviceList[0]!.id}`);
  assert.match(
    rowOf(page, "Bela"),
    /relayed 48 ms ↑ 720 bit\/s ↓ 32\.0 kbit\/s ↑ 736 kB ↓ 65\.6 MB 1 min ago/,
  );
  assert.match(rowOf(page, "relay-fra"), /203\.0\.113\.10:3478, .* ready 8\.4 ms/);
  assert.match(page, /<polyline points="0\.0,/);
  assert.match(
    textOf(page),
    /office-gw-1 online Site office .*Online since 9 d 1 h ago Connects from 203\.0\.113\.7/,
  );
});

Deno.test("reports from before a gateway's present connection are not shown as live", async () => {
  const world = showcase();
  const gateway = world.deviceList[0]!;
  world.deviceList[0] = { ...gateway, session: session({ since: NOW }) };
  assert.match(textOf(await world.get(`/admin/gateways/${gateway.id}`)), /No live data/);
});

Deno.test("the overview names what is wrong, worst first, and says that all is well when it is", async () => {
  const world = showcase();
  assert.match(
    textOf(await world.get("/admin")),
    /3 things need attention No gateway of site lab is online: nobody reaches measuring bench\..*doesn't reach 1 relay of 2.*1 token of backup-server ends within a week/,
  );
  world.policy = {
    ...world.policy,
    resources: world.policy.resources.filter(({ name }) => name !== "measuring bench"),
  };
  world.tokenList = [];
  const sound = world.reportList.map((one) => ({
    ...one,
    at: NOW,
    report: { ...one.report, relays: one.report.relays.map((relay) => ({ ...relay, ready: true })) },
  }));
  for (const one of sound) {
    world.handleReport(world.deviceList.find(({ id }) => id === one.gatewayId)!, one.report, NOW);
  }
  assert.match(textOf(await world.get("/admin")), /All is well/);
  world.now += 60;
  assert.match(textOf(await world.get("/admin")), /office-gw-1 is connected but has stopped reporting/);
});

Deno.test("an empty portal says what to do next, with its own address in the commands", async () => {
  const world = new AdminWorld();
  const page = await (await world.app.request("https://portal.example/admin")).text();
  assert.match(textOf(page), /Next steps Add a site and a gateway/);
  assert.match(page, /postern client --api-url wss:\/\/portal\.example /);
  assert.doesNotMatch(textOf(page), /All is well/);
  assert.match(textOf(await world.get("/admin/devices")), /No device has connected yet/);
  assert.match(textOf(await world.get("/admin/sessions")), /Nobody has signed in/);
  assert.match(textOf(await world.get("/admin/resources")), /nothing to reach yet/);
});

Deno.test("what is wrong is also said in a portal that is still being set up", async () => {
  const world = showcase();
  world.deviceList = [];
  assert.match(
    textOf(await world.get("/admin")),
    /No gateway of site office is online.*Next steps Connect a gateway/,
  );
});

Deno.test("a device's page says which resources it may use right now, and why not", async () => {
  const world = showcase();
  const page = async (name: string) =>
    await world.get(`/admin/devices/${world.deviceList.find((one) => one.name === name)!.id}`);
  const phone = await page("Pixel 9");
  assert.match(
    rowOf(phone, "production database"),
    /no: .*the device is not verified; its address is not allowed/,
  );
  assert.match(rowOf(phone, "Internet"), /no: the device is not verified/);
  // 9:00 UTC is 11:00 in Berlin, where the working day ends at 17:00.
  assert.match(rowOf(phone, "intranet"), /yes, ends in 6 h/);
  const laptop = await page("Anna’s laptop");
  assert.match(rowOf(laptop, "production database"), /yes datacenter/);
  assert.match(rowOf(laptop, "measuring bench"), /yes, but no gateway is online/);
  assert.match(rowOf(await page("Chidi-Windows"), "intranet"), /when online and its conditions hold/);
});

Deno.test("a resource's page says its conditions in words, who can reach it, and who does", async () => {
  const world = showcase();
  const of = (name: string) => world.policy.resources.find((one) => one.name === name)!.id;
  const database = await world.get(`/admin/resources/${of("production database")}`);
  assert.match(
    rowOf(database, "production database, on conditions"),
    /group on-call, backup-server only on a verified device, and when connecting from 203\.0\.113\.0\/24 or 2001:db8:5::\/48/,
  );
  assert.match(rowOf(database, "Pixel 9"), /anna no: the device is not verified/);
  assert.doesNotMatch(database, /Bela-MacBook/);
  const intranet = await world.get(`/admin/resources/${of("intranet")}`);
  assert.match(rowOf(intranet, "intranet, on conditions"), /only Mon–Fri 09:00–17:00 \(Europe\/Berlin\)/);
  assert.match(textOf(intranet), /Granted now.*backup-01 office-gw-2 in 1 d/);
});

Deno.test("who can reach an address or a name is found by typing it", async () => {
  const world = showcase();
  const found = async (q: string) => {
    const page = await world.get(`/admin/resources?q=${encodeURIComponent(q)}`);
    return [...page.matchAll(/<th role="rowheader".*?<bdi>(.*?)<\/bdi>/gs)].map(([, name]) => name);
  };
  assert.deepEqual(await found("10.20.3.14"), ["intranet", "Internet"]);
  assert.deepEqual(await found("a.bench.corp.example"), ["measuring bench"]);
  assert.deepEqual(await found("WIKI"), ["wiki"]);
  assert.deepEqual(await found("nothing.example"), []);
});

Deno.test("the activity page filters by client, resource, kind and destination", async () => {
  const world = showcase();
  const rows = async (query: string) =>
    [...(await world.get(`/admin/activity?${query}`)).matchAll(/<tr [^>]*data-key.*?<\/tr>/gs)].map(([row]) =>
      textOf(row)
    );
  const [laptop, phone] = [world.deviceList[4]!, world.deviceList[5]!];
  assert.equal((await rows("")).length, 6);
  assert.match((await rows("kind=login"))[0]!, /login refused ×2 client kali from 192\.0\.2\.66/);
  assert.equal((await rows(`client=${laptop.id}`)).length, 2);
  assert.match(
    (await rows(`client=${phone.id}`))[0]!,
    /refused ×3 .*the device is not verified; its address is not allowed/,
  );
  assert.deepEqual((await rows("kind=denied")).length, 3);
  assert.equal((await rows(`resource=${world.policy.resources[1]!.id}`)).length, 2);
  assert.match(
    (await rows("q=10.40"))[0]!,
    /denied Bela-MacBook-Pro\.local – 10\.40\.0\.5 icmp no grant covers it/,
  );
});

Deno.test("a name and what a person is called stand apart", async () => {
  assert.match(
    await showcase().get("/admin/people"),
    /<bdi>anna<\/bdi><\/a> <span class="muted"><bdi>Anna Bergström/,
  );
});

Deno.test("times are relative or of the viewer's zone, with the absolute one in UTC beside them", async () => {
  const page = await showcase().get("/admin/activity");
  assert.match(
    page,
    /<time datetime="2025-07-24T08:59:53\.000Z" title="2025-07-24 08:59:53 UTC" data-local="">2025-07-24 08:59:53 UTC</,
  );
});

Deno.test("a session is revoked, a device verified and disconnected, each noted with who did it", async () => {
  const world = showcase();
  const [token, one] = [world.tokenList[1]!, world.deviceList[5]!];
  const location = async (path: string, fields = {}) =>
    (await world.post(`/admin${path}`, fields)).headers.get("location");
  assert.equal(await location(`/sessions/${token.id}/revoke`), "/admin/sessions?done=revoked");
  assert.equal(
    await location(`/devices/${one.id}/verify`, { verified: "yes" }),
    `/admin/devices/${one.id}?done=verified`,
  );
  assert.equal(
    await location(`/devices/${one.id}/verify`, { verified: "no" }),
    `/admin/devices/${one.id}?done=unverified`,
  );
  assert.equal(await location(`/devices/${one.id}/disconnect`), `/admin/devices/${one.id}?done=disconnected`);
  assert.equal(await location("/sessions/unknown/revoke"), "/admin/sessions?done=gone");
  assert.deepEqual(world.deeds, [
    `revoke ${token.id}`,
    `verify ${one.id} true`,
    `verify ${one.id} false`,
    `disconnect ${one.id}`,
  ]);
  assert.match(world.logged[0]!, /^root revoked a session of bela/);
  assert.match(world.logged[3]!, /^root disconnected client "Pixel 9"/);
  assert.match(textOf(await world.get("/admin/sessions?done=revoked")), /^ ?Revoked\. Devices/);
});

Deno.test("a token that is made is shown once, on a page that isn't refreshed, and never logged", async () => {
  const world = showcase();
  const response = await world.post("/admin/sessions", { for: "client backup-server", days: "30" });
  const page = await response.text();
  const token = new Uint8Array(32).fill(7).toBase64({ alphabet: "base64url", omitPadding: true });
  assert.ok(page.includes(token));
  assert.doesNotMatch(page, /<main[^>]*data-live/);
  assert.deepEqual(world.deeds, [`add client backup-server ${NOW + 30 * 86_400}`]);
  assert.ok(!world.logged.join().includes(token));
  assert.ok(!(await world.get("/admin/sessions")).includes(token));
});

Deno.test("tokens are made for gateways and clients of the policy only, and for a length that the form offers", async () => {
  const world = showcase();
  for (
    const fields of [
      { for: "client nobody", days: "7" },
      { for: "client anna", days: "7" },
      { for: "gateway backup-server", days: "7" },
      { for: "client backup-server", days: "100000" },
      { days: "7" },
    ]
  ) {
    assert.equal((await world.post("/admin/sessions", fields as Record<string, string>)).status, 400);
  }
  assert.deepEqual(world.deeds, []);
});

Deno.test("long lists are cut into pages, whatever page is asked for", async () => {
  const world = new AdminWorld();
  world.policy = { ...EMPTY_POLICY, actors: [user("anna")] };
  world.deviceList = Array.from(
    { length: 120 },
    (_, i) => device("client", "anna", `d${String(i).padStart(3, "0")}`),
  );
  const rows = async (query: string) =>
    [...(await world.get(`/admin/devices${query}`)).matchAll(/<bdi>(d\d+)<\/bdi>/g)].map(([, name]) => name);
  assert.deepEqual([(await rows("")).length, (await rows(""))[0]], [50, "d000"]);
  assert.deepEqual([(await rows("?page=3")).length, (await rows("?page=3"))[0]], [20, "d100"]);
  for (const page of ["99", "1e9", "2147483648"]) {
    assert.equal((await rows(`?page=${page}`)).at(-1) !== undefined, true);
  }
  for (const page of ["-1", "0", "x", ""]) assert.equal((await rows(`?page=${page}`))[0], "d000");
  assert.match(
    textOf(await world.get("/admin/devices?page=2")),
    /← Previous Page 2 of 3, 120 devices Next →/,
  );
});

Deno.test("under a base path every link and form stays under it", async () => {
  const world = showcase(new AdminWorld("/vpn"));
  const page = await world.get("/vpn/admin");
  for (const [, target] of page.matchAll(/(?:href|action)="(\/[^"]*)"/g)) assert.match(target!, /^\/vpn\//);
  assert.match(await world.get("/vpn/admin/gateways"), /aria-current="page">Gateways</);
  world.currentUser = undefined;
  assert.equal((await world.app.request("/vpn/admin")).headers.get("location"), "/vpn/?next=admin");
});
