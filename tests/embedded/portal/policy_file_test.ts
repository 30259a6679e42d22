import assert from "node:assert/strict";
import fc from "fast-check";
import { FAR_FUTURE, names } from "../../../mod/embedded/portal/policy/policy.ts";
import { parsePolicy, PolicyError } from "../../../mod/embedded/portal/policy/file.ts";
import { parseFilter } from "../../../mod/embedded/portal/policy/schema.ts";
import { parseTarget } from "../../../mod/embedded/portal/policy/resource_address.ts";
import { TomlLines } from "../../../mod/embedded/portal/policy/toml_lines.ts";

const POLICY = `
[account]
slug = "home"
dns = ["1.1.1.1", "[2606:4700::1111]:53"]
search_domain = "corp.example"

[[site]]
name = "home"

[[gateway]]
name = "cellar"
token = "gateway-token-0123456789"

[[client]]
name = "laptop"
groups = ["family"]
token = "laptop-token-0123456789"
expires = 2027-01-31T00:00:00Z

[[client]]
name = "phone"
token_file = "phone.token"

[[resource]]
name = "Intranet"
address = "10.20.0.77/16"
allow = ["family"]
filters = ["tcp/443", "udp/8000-8100", "icmp"]

[[resource]]
name = "Wiki"
address = "*.Corp.example"
allow = ["everyone"]
description = "https://wiki.corp.example"
ip_stack = "ipv4_only"
site = "home"

[[resource]]
name = "Printer"
address = "10.30.0.9"
allow = ["phone"]
sites = ["home"]

[[resource]]
name = "Out"
address = "internet"
allow = []

[[relay]]
ipv4 = "203.0.113.10"
ipv6 = "2001:db8::10"
secret_file = "relay.secret"
`;

const secrets: Record<string, string> = {
  "phone.token": "phone-token-0123456789\n",
  "relay.secret": "relay-secret-0123456789",
};

function parse(text: string) {
  return parsePolicy(text, {
    file: "policy.toml",
    readSecret: (path) => {
      const secret = secrets[path];
      if (secret === undefined) throw new Error(`${path} can't be read: no such file`);
      return secret;
    },
  });
}

/** The problems of a file as `line key: message`. */
function problems(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    assert.ok(error instanceof PolicyError);
    return error.problems.map(({ line, key, message }) => `${line} ${key}: ${message}`);
  }
  return [];
}

/** The example with one line replaced. */
const changed = (line: string, replacement: string) => {
  assert.ok(POLICY.includes(line));
  return POLICY.replace(line, replacement);
};
const lineNumber = (line: string) => POLICY.split("\n").findIndex((one) => one.startsWith(line)) + 1;

Deno.test("a policy file says who may use what, through which site", () => {
  const policy = parse(POLICY);
  assert.equal(policy.account.slug, "home");
  assert.deepEqual(policy.account.dns.map(String), ["1.1.1.1:53", "[2606:4700::1111]:53"]);
  assert.equal(policy.gateways[0]!.siteId, policy.sites[0]!.id);
  assert.deepEqual(policy.actors.map((a) => [a.name, a.kind === "client" && a.token, a.expiresAt]), [
    ["laptop", "laptop-token-0123456789", Date.parse("2027-01-31T00:00:00Z") / 1000],
    ["phone", "phone-token-0123456789", FAR_FUTURE],
  ]);
  const [intranet, wiki, printer, out] = policy.resources;
  assert.ok(intranet?.target.type === "cidr" && intranet.target.cidr.text === "10.20.0.0/16");
  assert.deepEqual(intranet.filters, [
    { protocol: "tcp", portStart: 443, portEnd: 443 },
    { protocol: "udp", portStart: 8000, portEnd: 8100 },
    { protocol: "icmp" },
  ]);
  assert.deepEqual(wiki?.target, { type: "dns", pattern: "*.corp.example" });
  assert.ok(printer?.target.type === "cidr" && printer.target.cidr.text === "10.30.0.9/32");
  assert.equal(out?.target.type, "internet");
  const [laptop, phone] = policy.actors;
  assert.deepEqual(policy.accessPolicies.map((p) => [names(p, laptop!), names(p, phone!)]), [
    [true, false],
    [true, true],
    [false, true],
    [false, false],
  ]);
  assert.equal(policy.relays[0]!.v6!.key, "[2001:db8::10]:3478");
  assert.equal(policy.relays[0]!.stampSecret, "relay-secret-0123456789");
});

Deno.test("ids follow from names, so that they survive a restart without a store; they can be written down", () => {
  assert.deepEqual(parse(POLICY).resources.map((r) => r.id), parse(POLICY).resources.map((r) => r.id));
  const id = "c2d5b1a4-0f5e-4a7b-93c8-1e2f3a4b5c33";
  assert.equal(parse(changed('name = "Intranet"', `name = "Other"\nid = "${id}"`)).resources[0]!.id, id);
});

Deno.test("each mistake is named with its line and key", () => {
  const cases: [line: string, replacement: string, expected: string][] = [
    [
      'allow = ["family"]',
      'allow = ["famly"]',
      'resource[1].allow: no client, user or group is called "famly". Known: everyone, laptop, family, phone',
    ],
    [
      'address = "10.20.0.77/16"',
      'address = "10.20.0.0/40"',
      'resource[1].address: "10.20.0.0/40" is neither a network nor an address',
    ],
    [
      'filters = ["tcp/443"',
      'filters = ["tcp:443"',
      'resource[1].filters[1]: it is not one of "icmp", "tcp", "udp", "tcp/443", "udp/8000-8100"',
    ],
    ['filters = ["tcp/443"', 'filter = ["tcp/443"', "resource[1].filter: unknown key"],
    ['site = "home"', 'site = "hom"', 'resource[2].site: no site is called "hom". Known: home'],
    ['sites = ["home"]', "sites = []", "resource[3].sites: name at least one site"],
    ['name = "Wiki"', 'name = "Intranet"', 'resource[2].name: "Intranet" is there already'],
    [
      'token_file = "phone.token"',
      'token_file = "gone"',
      "client[2].token_file: gone can't be read: no such file",
    ],
    [
      'token = "laptop-token-0123456789"',
      'token = "short"',
      "client[1].token: a token has at least 16 ASCII characters and no spaces",
    ],
    [
      'token = "laptop-token-0123456789"',
      'token = "gateway-token-0123456789"',
      "client[1].token: this token is used twice",
    ],
    [
      "expires = 2027-01-31T00:00:00Z",
      'expires = "tomorrow"',
      "client[1].expires: it is not a date: write 2027-01-31T00:00:00Z, without quotes",
    ],
    [
      'ip_stack = "ipv4_only"',
      'ip_stack = "v4"',
      'resource[2].ip_stack: expected ("dual" | "ipv4_only" | "ipv6_only")',
    ],
    ['ipv4 = "203.0.113.10"', 'ipv4 = "relay.example"', "relay[1].ipv4: it is not an IPv4 address"],
  ];
  for (const [line, replacement, expected] of cases) {
    assert.deepEqual(problems(changed(line, replacement)), [`${lineNumber(line)} ${expected}`]);
  }
});

Deno.test("what is missing is reported at its table, and all mistakes at once", () => {
  assert.deepEqual(
    problems('[[client]]\nname = "x"\n[[gateway]]\nname = "g"\ntoken = "0123456789abcdef"\n'),
    [
      "3 gateway[1]: there is no [[site]]",
      "1 client[1]: token or token_file is missing",
    ],
  );
  assert.deepEqual(
    problems('[[site]]\nname="a"\n[[site]]\nname="b"\n[[resource]]\nname="r"\naddress="10.0.0.1"\nallow=[]'),
    [
      "5 resource[1]: say which site it belongs to",
    ],
  );
});

Deno.test("a syntax error is named with line and column, and no value is quoted", () => {
  const [problem] = problems('[[client]]\nname = "x"\ntoken = "secret-token-0123456789\n');
  assert.match(problem!, /^3 : column \d+: /);
  assert.ok(!problem!.includes("secret"));
});

Deno.test("an error reads like a compiler's", () => {
  const text = changed('address = "10.20.0.77/16"', "");
  assert.throws(() => parse(text), (error) => {
    assert.ok(error instanceof PolicyError);
    const line = text.split("\n").findIndex((one) => one === 'name = "Intranet"');
    assert.equal(
      error.message,
      `Cannot use the policy: 1 mistake(s). Correct them:\npolicy.toml:${line}: resource[1].address: it is missing`,
    );
    return true;
  });
});

Deno.test("resource addresses: what is accepted and why not", () => {
  for (
    const good of [
      "10.0.0.0/8",
      "10.1.2.3",
      "2001:db8::/32",
      "2001:db8::1",
      "internet",
      "a.example",
      "*.corp.example",
      "**.corp.example",
      "db-?.corp.example",
      "*-eu.corp.example",
      "*.internal",
      "a*.com",
    ]
  ) {
    assert.equal(typeof parseTarget(good), "object", good);
  }
  assert.deepEqual(parseTarget("Bücher.Example"), { type: "dns", pattern: "xn--bcher-kva.example" });
  assert.deepEqual(parseTarget("Internet"), { type: "internet" });
  const bad: Record<string, RegExp> = {
    "0.0.0.0/0": /write "internet"/,
    "::/0": /write "internet"/,
    "0.0.0.0/1": /tunnel's own|loopback/,
    "::ffff:10.0.0.0/104": /write them as IPv4/,
    "::ffff:10.1.2.3": /write them as IPv4/,
    "*.com": /all of \.com/,
    "**.*.de": /all of \.de/,
    "büch*er.example": /characters/,
    "x.localhost": /this host itself/,
    "100.64.0.0/16": /tunnel's own/,
    "100.0.0.0/8": /tunnel's own/,
    "fd00:2021:1111::1": /tunnel's own/,
    "127.0.0.1": /loopback/,
    "::1": /loopback/,
    "localhost": /this host itself/,
    "intranet": /at least two labels/,
    "*.*": /top-level/,
    "a.**b.example": /\*\* inside a label/,
    "a..example": /empty label/,
    "a b.example": /characters/,
    "10.0.0.300": /neither an address nor a domain/,
    "a.example:443": /characters/,
    [`${"x".repeat(64)}.example`]: /longer than 63/,
  };
  for (const [text, reason] of Object.entries(bad)) assert.match(String(parseTarget(text)), reason, text);
});

Deno.test("filters: ports are within range and in order", () => {
  assert.deepEqual(parseFilter("tcp"), { protocol: "tcp", portStart: 0, portEnd: 65535 });
  assert.deepEqual(parseFilter("udp/53"), { protocol: "udp", portStart: 53, portEnd: 53 });
  assert.deepEqual(parseFilter("tcp/8000 - 8100"), { protocol: "tcp", portStart: 8000, portEnd: 8100 });
  for (const bad of ["", "tcp/", "tcp/70000", "tcp/90-80", "icmp/1", "TCP", "tcp/80,443", "tcp/-1"]) {
    assert.equal(parseFilter(bad), undefined, bad);
  }
});

Deno.test("lines are found in tables, arrays of tables, dotted and quoted keys", () => {
  const text = 'top = 1\n[a.b]\nx = 1\n[[c]]\ny = 1\n[[c]]\n"y" = 2\nz.w = 3\n';
  const lines = new TomlLines(text);
  assert.equal(lines.lineOf(["top"]), 1);
  assert.equal(lines.lineOf(["a", "b", "x"]), 3);
  assert.equal(lines.lineOf(["a", "b", "gone"]), 2);
  assert.equal(lines.lineOf(["c", 0, "y"]), 5);
  assert.equal(lines.lineOf(["c", 1, "y"]), 7);
  assert.equal(lines.lineOf(["c", 1, "z", "w"]), 8);
  assert.equal(lines.lineOf(["c", 1]), 6);
  assert.equal(lines.lineOf(["d"]), undefined);
  assert.equal(lines.lineOf(["c"]), 4);
  const nested =
    '[[a]]\n[a.b]\nx = 1\n[[a]]\nt = """\ny = 0\n"""\n[a.b]\ny = 1\n[[a.c]]\nz = 1\n[[a.c]]\nz = 2\n';
  const inner = new TomlLines(nested);
  assert.equal(inner.lineOf(["a", 0, "b", "x"]), 3);
  assert.equal(inner.lineOf(["a", 1, "y"]), 4);
  assert.equal(inner.lineOf(["a", 1, "b", "y"]), 9);
  assert.equal(inner.lineOf(["a", 1, "c", 1, "z"]), 13);
});

Deno.test("any text: a policy or a PolicyError", () => {
  fc.assert(fc.property(fc.string(), fc.nat({ max: POLICY.length }), (text, at) => {
    for (const candidate of [text, POLICY.slice(0, at) + text + POLICY.slice(at), POLICY.slice(at)]) {
      try {
        parse(candidate);
      } catch (error) {
        assert.ok(error instanceof PolicyError, String(error));
      }
    }
  }));
});
