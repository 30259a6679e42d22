import assert from "node:assert/strict";
import { diffLines, diffPolicies, type KnownDevice } from "../../../../mod/embedded/portal/policy/diff.ts";
import { parsePolicy } from "../../../../mod/embedded/portal/policy/file.ts";

const POLICY = `
[[site]]
name = "home"
[[site]]
name = "work"
[[gateway]]
name = "cellar"
site = "home"
token = "gateway-token-0123456789"
[[client]]
name = "backup"
token = "backup-token-0123456789"
[[user]]
name = "jane"
groups = ["staff"]
[[resource]]
name = "Intranet"
address = "10.20.0.0/16"
site = "home"
allow = ["staff"]
filters = ["tcp/443", "udp/8000-8100", "icmp"]
[[resource]]
name = "Printer"
address = "10.30.0.9"
site = "home"
allow = ["backup", "jane"]
[[policy]]
name = "At work"
resource = "Printer"
allow = ["everyone"]
conditions = { time = ["mon-fri 09:00-17:00 Europe/Berlin"], remote_ip_in = ["203.0.113.0/24"] }
`;

const policyOf = (text: string) => parsePolicy(text, { file: "policy.toml", readSecret: () => "" });

/** What a changed policy reads like. */
function diff(
  changes: readonly (readonly [from: string, to: string])[],
  devices: readonly KnownDevice[] = [],
) {
  const text = changes.reduce((text, [from, to]) => {
    assert.ok(text.includes(from), from);
    return text.replace(from, to);
  }, POLICY);
  return diffLines(diffPolicies(policyOf(POLICY), policyOf(text), devices));
}

const atWork: KnownDevice = {
  name: "Jane's laptop",
  owner: "jane",
  circumstances: {
    remoteIp: "203.0.113.7",
    region: undefined,
    providerId: undefined,
    verified: false,
    unixNow: Date.parse("2026-03-02T09:00:00Z") / 1000,
  },
};

Deno.test("the same policy differs in nothing", () => {
  assert.deepEqual(diff([]), []);
});

Deno.test("what came, went and changed is named with what changed", () => {
  assert.deepEqual(
    diff([
      ['name = "work"', 'name = "office"'],
      ['address = "10.20.0.0/16"', 'address = "10.21.0.0/16"'],
      ['"udp/8000-8100", "icmp"]', '"udp"]'],
      ['[[client]]\nname = "backup"', '[[client]]\nname = "backup"\nexpires = 2030-01-01T00:00:00Z'],
      ["mon-fri 09:00-17:00", "mon-thu 09:00-12:00,13:00-24:00"],
    ]),
    [
      '- site "work"',
      '+ site "office"',
      '~ client "backup": expires: none → 2030-01-01T00:00:00Z',
      '~ resource "Intranet": address: 10.20.0.0/16 → 10.21.0.0/16; ' +
      "filters: tcp/443, udp/8000-8100, icmp → tcp/443, udp",
      '~ policy "At work": conditions: ' +
      "address in 203.0.113.0/24; time mon,tue,wed,thu,fri 09:00-17:00 Europe/Berlin → " +
      "address in 203.0.113.0/24; time mon,tue,wed,thu 09:00-12:00,13:00-24:00 Europe/Berlin",
    ],
  );
});

Deno.test("secrets are compared and never shown", () => {
  const lines = diff([["gateway-token-0123456789", "rotated-token-0123456789"]]);
  assert.deepEqual(lines, ['~ gateway "cellar": token changed']);
});

Deno.test("who loses what: by device where one is known, else by name", () => {
  assert.deepEqual(
    diff([['allow = ["backup", "jane"]', 'allow = ["jane"]'], ['allow = ["everyone"]', 'allow = ["jane"]']]),
    [
      '~ resource "Printer": allow: backup, jane → jane',
      '~ policy "At work": allow: everyone → jane',
      '! "backup" loses Printer',
    ],
  );
  assert.deepEqual(diff([['allow = ["staff"]', "allow = []"]], [atWork]).slice(-1), [
    '! "jane" on "Jane\'s laptop" loses Intranet',
  ]);
  assert.deepEqual(
    diff([['[[user]]\nname = "jane"\ngroups = ["staff"]', ""], ['["staff"]', "[]"], [
      '["backup", "jane"]',
      "[]",
    ]], [
      atWork,
    ]).slice(-1),
    ['! "jane" on "Jane\'s laptop" loses Intranet, Printer'],
  );
});

Deno.test("a device that is joined is judged where it is: conditions that it meets keep it in", () => {
  const narrowed = [['allow = ["backup", "jane"]', "allow = []"]] as const;
  assert.deepEqual(diff(narrowed, [atWork]), ['~ resource "Printer": allow: backup, jane → none']);
  const abroad = { ...atWork, circumstances: { ...atWork.circumstances!, remoteIp: "198.51.100.1" } };
  assert.deepEqual(diff(narrowed, [abroad]).slice(1), ['! "jane" on "Jane\'s laptop" loses Printer']);
  assert.deepEqual(diff(narrowed, [{ ...abroad, circumstances: undefined }]).slice(1), []);
});
