import assert from "node:assert/strict";
import fc from "fast-check";
import { accessTo } from "../../../../mod/embedded/portal/policy/access.ts";
import { decodeBase32, encodeBase32 } from "../../../../mod/embedded/portal/policy/base32.ts";
import { parsePolicy, PolicyError } from "../../../../mod/embedded/portal/policy/file.ts";
import type { PolicyObject } from "../../../../mod/embedded/portal/policy/objects.ts";
import { FAR_FUTURE, names } from "../../../../mod/embedded/portal/policy/policy.ts";
import { parseTimes } from "../../../../mod/embedded/portal/policy/time_text.ts";

const HASH = "$scrypt$ln=15,r=8,p=3$AAECAwQFBgcICQoLDA0ODw$UGFzc3dvcmRzIGF0IHJlc3QgYXJlIHNjcnlwdGVkLiE";

const POLICY = `
[[site]]
name = "home"

[[gateway]]
name = "cellar"
token = "gateway-token-0123456789"

[[client]]
name = "backup"
token = "backup-token-0123456789"

[[user]]
name = "jane"
display_name = "Jane Doe"
email = "jane@corp.example"
groups = ["staff"]
password_hash = "${HASH}"
totp_secret = "JBSWY3DPEHPK3PXP JBSWY3DPEHPK3PXP"
admin = true
session = "10h"
expires = 2027-01-31T00:00:00Z

[[user]]
name = "joe"
password_hash_file = "joe.hash"
totp_secret_file = "joe.totp"

[[resource]]
name = "Intranet"
address = "10.20.0.0/16"
allow = ["backup"]

[[resource]]
name = "Wiki"
address = "wiki.corp.example"

[[policy]]
name = "Office hours"
resource = "Intranet"
allow = ["staff"]

[policy.conditions]
time = ["mon-fri 09:00-12:00,13:00-17:00 Europe/Berlin", "S/10:00-12:00/Europe/Berlin"]
remote_ip_in = ["203.0.113.0/24", "2001:db8::/32"]
remote_ip_not_in = ["203.0.113.66"]
region_in = ["de"]
provider_not_in = ["guest"]

[[policy]]
name = "Always, when verified"
resource = "Intranet"
allow = ["everyone"]
conditions = { verified = true }

[[relay]]
name = "roaming"
token = "relay-token-0123456789"
`;

const FILES: Record<string, string> = { "joe.hash": `${HASH}\n`, "joe.totp": "jbsw y3dp ehpk 3pxp\n" };

function parse(text: string, objects: readonly PolicyObject[] = []) {
  return parsePolicy(text, {
    file: "policy.toml",
    readSecret: (path) => {
      const secret = FILES[path];
      if (secret === undefined) throw new Error(`${path} can't be read`);
      return secret;
    },
  }, objects);
}

/** What is wrong, a line for each mistake. */
function problems(text: string, objects: readonly PolicyObject[] = []): string[] {
  try {
    parse(text, objects);
  } catch (error) {
    assert.ok(error instanceof PolicyError);
    return error.message.split("\n").slice(1);
  }
  return [];
}

const changed = (from: string, to: string) => {
  assert.ok(POLICY.includes(from), from);
  return POLICY.replace(from, to);
};
const lineNumber = (start: string) => POLICY.split("\n").findIndex((one) => one.startsWith(start)) + 1;

Deno.test("users: who they are, how they sign in, and for how long", () => {
  const [, jane, joe] = parse(POLICY).actors;
  assert.ok(jane?.kind === "user" && joe?.kind === "user");
  const { totpSecret, ...rest } = jane;
  assert.deepEqual(rest, {
    kind: "user",
    name: "jane",
    displayName: "Jane Doe",
    email: "jane@corp.example",
    groups: ["staff"],
    passwordHash: HASH,
    admin: true,
    sessionSeconds: 36_000,
    expiresAt: Date.parse("2027-01-31T00:00:00Z") / 1000,
  });
  assert.equal(new TextDecoder().decode(totpSecret!.slice(0, 5)), "Hello");
  assert.deepEqual([joe.displayName, joe.admin, joe.sessionSeconds, joe.expiresAt], [
    "joe",
    false,
    7 * 86_400,
    FAR_FUTURE,
  ]);
  assert.deepEqual([joe.passwordHash, joe.totpSecret?.length], [HASH, 10]);
});

Deno.test("policies with conditions are tried after the resource's own list, in their order", () => {
  const policy = parse(POLICY);
  const [own, office, verified] = policy.accessPolicies;
  assert.deepEqual([own!.name, own!.allow, own!.conditions], ["Intranet", ["backup"], []]);
  assert.deepEqual(office!.conditions.map((one) => [one.property, "negated" in one && one.negated]), [
    ["remote_ip", false],
    ["remote_ip_location_region", false],
    ["remote_ip", true],
    ["provider_id", true],
    ["current_utc_datetime", false],
  ]);
  assert.deepEqual(verified!.conditions, [{ property: "client_verified" }]);
  const [backup, jane] = policy.actors;
  const intranet = policy.resources[0]!.id;
  const office1 = {
    remoteIp: "203.0.113.7",
    region: "DE",
    providerId: "local",
    verified: false,
    unixNow: Date.parse("2026-03-02T09:00:00Z") / 1000,
  };
  const access = (circumstances: Partial<typeof office1>, actor = jane!) =>
    accessTo(intranet, actor, policy, { ...office1, ...circumstances });
  assert.deepEqual(access({}), { policy: office, until: Date.parse("2026-03-02T11:00:01Z") / 1000 });
  assert.deepEqual(access({ verified: true, region: "FR" }), { policy: verified, until: Infinity });
  assert.deepEqual(access({ region: "FR", remoteIp: "203.0.113.66" }), {
    violated: ["remote_ip_location_region", "remote_ip", "client_verified"],
  });
  assert.deepEqual(access({ unixNow: 0, remoteIp: "" }, backup!), { policy: own, until: Infinity });
  assert.equal(accessTo(policy.resources[1]!.id, jane!, policy, office1), undefined);
});

Deno.test("a resource without a list is there for policies, or for nobody", () => {
  const policy = parse(POLICY);
  const wiki = policy.resources[1]!;
  assert.ok(policy.accessPolicies.every(({ resourceId }) => resourceId !== wiki.id));
});

Deno.test("a policy may not take the id of a resource's own list", () => {
  const id = parse(POLICY).resources[0]!.id;
  const policy = parse(changed('name = "Office hours"', `name = "${id}"`));
  assert.equal(new Set(policy.accessPolicies.map((one) => one.id)).size, 3);
});

Deno.test("a relay that connects to the portal has a name and a token, and says the rest itself", () => {
  const policy = parse(POLICY);
  assert.deepEqual(policy.relayTokens, [{ name: "roaming", token: "relay-token-0123456789" }]);
  assert.deepEqual(policy.relays, []);
  const line = lineNumber("[[relay]]");
  assert.deepEqual(problems(changed('name = "roaming"', 'ipv4 = "203.0.113.9"')), [
    `policy.toml:${line + 1}: relay[1].ipv4: a relay with a token says this itself; remove it`,
    `policy.toml:${line}: relay[1]: name is missing`,
  ]);
  assert.deepEqual(problems(changed("relay-token-0123456789", "backup-token-0123456789")), [
    `policy.toml:${line + 2}: relay[1].token: this token is used twice`,
  ]);
});

Deno.test("each mistake in users and policies is named with its line and key", () => {
  const cases: [line: string, replacement: string, expected: string][] = [
    ["display_name", "displayname", "user[1].displayname: unknown key"],
    [
      `password_hash = "${HASH}"`,
      'password_hash = "hunter2"',
      "user[1].password_hash: it is no scrypt hash: make one with `postern portal hash-password`",
    ],
    [
      'totp_secret = "JBSWY3DPEHPK3PXP JBSWY3DPEHPK3PXP"',
      'totp_secret = "JBSW"',
      "user[1].totp_secret: it is no base32 text of at least 16 characters",
    ],
    [
      'password_hash_file = "joe.hash"',
      'password_hash_file = "joe.totp"',
      "user[2].password_hash_file: in joe.totp: it is no scrypt hash: make one with `postern portal hash-password`",
    ],
    ['email = "jane@corp.example"', 'email = "jane"', "user[1].email: it is no mail address"],
    [
      'session = "10h"',
      'session = "10"',
      "user[1].session: it is no duration from 1m to 366d: write 10h or 7d",
    ],
    ["admin = true", 'admin = "yes"', "user[1].admin: expected boolean"],
    ['name = "joe"', 'name = "backup"', 'user[2].name: "backup" is there already, as a client'],
    ['groups = ["staff"]', 'groups = ["staff", "everyone"]', 'user[1].groups: "everyone" is reserved'],
    [
      'resource = "Intranet"',
      'resource = "Intrnet"',
      'policy[1].resource: no resource is called "Intrnet". Known: Intranet, Wiki',
    ],
    [
      'allow = ["staff"]',
      'allow = ["stuff"]',
      'policy[1].allow: no client, user or group is called "stuff". Known: everyone, backup, jane, staff, joe',
    ],
    [
      'region_in = ["de"]',
      'region_in = ["Germany"]',
      "policy[1].conditions.region_in[1]: it is no country: write two letters such as DE",
    ],
    [
      'remote_ip_not_in = ["203.0.113.66"]',
      'remote_ip_not_in = ["203.0.113.666"]',
      "policy[1].conditions.remote_ip_not_in[1]: it is neither a network nor an address",
    ],
    [
      'provider_not_in = ["guest"]',
      "provider_not_in = []",
      "policy[1].conditions.provider_not_in: name at least one",
    ],
    [
      "conditions = { verified = true }",
      "conditions = { verified = false }",
      "policy[2].conditions.verified: write true, or leave it out",
    ],
    [
      "conditions = { verified = true }",
      "conditions = { ip_in = [] }",
      "policy[2].conditions.ip_in: unknown key",
    ],
  ];
  for (const [line, replacement, expected] of cases) {
    const text = changed(line, replacement);
    assert.deepEqual(problems(text), [`policy.toml:${lineNumber(line)}: ${expected}`]);
  }
});

Deno.test("times of the week: days, ranges and zone, in two notations", () => {
  const berlin = { zone: "Europe/Berlin" };
  assert.deepEqual(parseTimes("mon-tue 9:00-12:00,13:00:30-17:00 Europe/Berlin"), [
    { day: 1, from: 32_400, to: 43_200, ...berlin },
    { day: 2, from: 32_400, to: 43_200, ...berlin },
    { day: 1, from: 46_830, to: 61_200, ...berlin },
    { day: 2, from: 46_830, to: 61_200, ...berlin },
  ]);
  assert.deepEqual(parseTimes("R/09:00-12:00, 13:00-17:00/America/Argentina/Ushuaia"), [
    { day: 4, from: 32_400, to: 43_200, zone: "America/Argentina/Ushuaia" },
    { day: 4, from: 46_800, to: 61_200, zone: "America/Argentina/Ushuaia" },
  ]);
  assert.deepEqual(parseTimes("U/true/UTC"), [{ day: 0, from: 0, to: 86_399, zone: "UTC" }]);
  const days = (text: string) => {
    const ranges = parseTimes(`${text} 22:00-24:00 UTC`);
    assert.ok(typeof ranges !== "string", String(ranges));
    assert.ok(ranges.every(({ from, to }) => from === 79_200 && to === 86_399));
    return ranges.map(({ day }) => day);
  };
  assert.deepEqual(days("Sat-Mon"), [6, 0, 1]);
  assert.deepEqual(days("wednesday,fri"), [3, 5]);
  assert.deepEqual(days("M,W-R"), [1, 3, 4]);
  assert.deepEqual(days("daily"), [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(parseTimes("sat,sun Europe/Berlin"), [
    { day: 6, from: 0, to: 86_399, ...berlin },
    { day: 0, from: 0, to: 86_399, ...berlin },
  ]);
});

Deno.test("times of the week: what is wrong is said, with what to write", () => {
  const bad: Record<string, RegExp> = {
    "": /write days, times and a time zone/,
    "mon 09:00-17:00": /"09:00-17:00" is no time zone/,
    "mon 09:00-17:00 Europe/Atlantis": /"Europe\/Atlantis" is no time zone/,
    "mon 09:00-17:00 +01:00": /no time zone/,
    "moon 09:00-17:00 UTC": /"moon" is no day/,
    "mon-tue-wed 09:00-17:00 UTC": /is no day/,
    "X/09:00-17:00/UTC": /"X" is no day/,
    "M/09:00-17:00": /no time zone|write days/,
    "mon 17:00-09:00 UTC": /ends before it begins: write 22:00-24:00/,
    "mon 09:00 UTC": /"09:00" is no range of times/,
    "mon 09:00-24:01 UTC": /no range of times/,
    "mon 09:60-10:00 UTC": /no range of times/,
    "mon 09:00-17:00 UTC extra": /write days/,
  };
  for (const [text, reason] of Object.entries(bad)) {
    const result = parseTimes(text);
    assert.ok(typeof result === "string", text);
    assert.match(result, reason, text);
  }
});

Deno.test("property: any text for times gives ranges within a day, or a sentence", () => {
  fc.assert(fc.property(fc.string(), fc.constantFrom("", " UTC", "M/"), (text, extra) => {
    for (const one of [text, text + extra, extra + text]) {
      const result = parseTimes(one);
      if (typeof result === "string") continue;
      assert.ok(result.every(({ day, from, to }) => day >= 0 && day <= 6 && from <= to && to <= 86_399));
    }
  }));
});

Deno.test("base32 goes there and back", () => {
  assert.equal(encodeBase32(new TextEncoder().encode("foobar")), "MZXW6YTBOI"); // RFC 4648 §10
  assert.equal(decodeBase32("1"), undefined);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    assert.deepEqual(decodeBase32(encodeBase32(bytes).toLowerCase()), bytes);
  }));
});

Deno.test("objects of verbs join the file's entries: they may refer to each other", () => {
  const policy = parse(POLICY, [
    { kind: "client", name: "tablet", document: { groups: ["family"], expires: "2027-01-31T00:00:00Z" } },
    { kind: "resource", name: "Printer", document: { address: "10.30.0.9", allow: ["family", "jane"] } },
    { kind: "gateway", name: "attic", document: {} },
  ]);
  const tablet = policy.actors.find(({ name }) => name === "tablet");
  assert.ok(tablet?.kind === "client" && tablet.token === undefined);
  assert.equal(tablet.expiresAt, Date.parse("2027-01-31T00:00:00Z") / 1000);
  const printer = policy.accessPolicies.find(({ name }) => name === "Printer")!;
  assert.deepEqual(policy.actors.filter((actor) => names(printer, actor)).map(({ name }) => name), [
    "tablet",
    "jane",
  ]);
  assert.equal(policy.gateways.find(({ name }) => name === "attic")!.siteId, policy.sites[0]!.id);
});

Deno.test("a mistake in an object is named as its own, one that it causes in the file by its line", () => {
  const object = (kind: PolicyObject["kind"], name: string, document: Record<string, unknown>) => [{
    kind,
    name,
    document,
  }];
  const cases: [PolicyObject[], string][] = [
    [
      object("resource", "Printer", { address: "10.30.0.9", allow: ["famly"] }),
      'resource "Printer" (made by a verb): allow: no client, user or group is called "famly". ' +
      "Known: everyone, backup, jane, staff, joe",
    ],
    [
      object("resource", "Printer", { address: "10.30.0.9", filters: ["tcp"], alow: [] }),
      'resource "Printer" (made by a verb): alow: unknown key',
    ],
    [
      object("client", "jane", {}),
      `client "jane" (made by a verb): name: "jane" stands in policy.toml:${
        lineNumber('name = "jane"')
      }, too, as a user; remove it there, or here with \`postern portal client remove\``,
    ],
    [
      object("site", "home", {}),
      `site "home" (made by a verb): name: "home" stands in policy.toml:${
        lineNumber('name = "home"')
      }, too; remove it there, or here with \`postern portal site remove\``,
    ],
    [
      object("client", "tablet", { token: "tablet-token-0123456789" }),
      'client "tablet" (made by a verb): token: only an entry of the policy file may have it',
    ],
    [
      object("user", "max", { password_hash_file: "/etc/shadow" }),
      'user "max" (made by a verb): password_hash_file: only an entry of the policy file may have it',
    ],
    [
      object("site", "work", {}),
      `policy.toml:${lineNumber("[[gateway]]")}: gateway[1]: say which site it belongs to`,
    ],
  ];
  for (const [objects, expected] of cases) {
    const found = problems(POLICY, objects);
    assert.ok(found.some((one) => one.endsWith(expected)), `${found.join("\n")}\n${expected}`);
  }
});
