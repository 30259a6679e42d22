import assert from "node:assert/strict";
import { accessTo } from "../../mod/embedded/portal/policy/access.ts";
import { diffLines, diffPolicies } from "../../mod/embedded/portal/policy/diff.ts";
import { parsePolicy, PolicyError } from "../../mod/embedded/portal/policy/file.ts";
import { OBJECT_KINDS, type PolicyObject } from "../../mod/embedded/portal/policy/objects.ts";
import type { PortalPolicy } from "../../mod/embedded/portal/policy/policy.ts";
import { parseTarget } from "../../mod/embedded/portal/policy/resource_address.ts";
import { DomainPattern } from "../../mod/policy/domain_pattern.ts";
import { POLICY } from "../embedded/portal/portal_world.ts";
import corpus from "./corpus/policy_file.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { change } from "./json.ts";
import { fromText, type FuzzTarget } from "./target.ts";

const SECRET = "secret-secret-secret";
const SOURCE = { file: "policy.toml", readSecret: () => SECRET };
const FULL = `[account]\nslug = "home"\ndns = ["1.1.1.1"]\n[[site]]\nname = "a"\n[[gateway]]\nname = "g"\n` +
  `token = "0123456789abcdef"\n[[client]]\nname = "c"\ntoken_file = "t"\ngroups = ["x"]\n` +
  `expires = 2031-01-01T00:00:00Z\n[[resource]]\nname = "r"\naddress = "10.0.0.0/8"\nallow = ["c", "x"]\n` +
  `filters = ["tcp/1-2", "icmp", "udp"]\nip_stack = "dual"\n[[resource]]\nname = "d"\naddress = "*.corp.example"\n` +
  `allow = ["everyone"]\n[[relay]]\nipv4 = "192.0.2.1"\nsecret = "0123456789abcdef"\n`;
const PEOPLE = `[[site]]\nname = "a"\n[[user]]\nname = "jane"\ndisplay_name = "Jane"\nemail = "j@x.y"\n` +
  `groups = ["staff"]\npassword_hash_file = "h"\ntotp_secret = "JBSWY3DPEHPK3PXPJBSWY3DP"\nadmin = true\n` +
  `session = "10h"\n[[resource]]\nname = "r"\naddress = "bücher.example"\n[[policy]]\nname = "p"\nresource = "r"\n` +
  `allow = ["staff"]\n[policy.conditions]\ntime = ["mon-fri 09:00-17:00 Europe/Berlin", "S/true/UTC"]\n` +
  `remote_ip_in = ["10.0.0.0/8"]\nregion_not_in = ["DE"]\nverified = true\nprovider_in = ["local"]\n` +
  `[[relay]]\nname = "far"\ntoken = "relay-token-0123456"\n`;
const FULL_POLICY = parsePolicy(FULL, SOURCE);
const WORDS = [
  "[[site]]",
  "[[gateway]]",
  "[resource]",
  "name = ",
  '""',
  "1",
  "true",
  "[]",
  "{}",
  "\n",
  "\r\n",
  "=",
  '"""',
  "#",
]
  .concat([
    "inf",
    "1979-05-27",
    '"everyone"',
    '"**.x.y"',
    '"::/0"',
    '"internet"',
    "a.b.c",
    "__proto__",
    "token",
    "[policy.conditions]",
    "[[user]]",
    '"sun-mon 00:00-24:00 UTC"',
    '"jane"',
    "conditions = { ",
  ]);

/** What verbs may have made; kept as JSON, so anything may be in them. */
const OBJECTS: readonly PolicyObject[] = [
  { kind: "client", name: "tablet", document: { groups: ["kids"], expires: "2031-01-01T00:00:00Z" } },
  {
    kind: "resource",
    name: "Printer",
    document: { address: "10.30.0.9", allow: ["everyone"], filters: ["tcp/1"] },
  },
  {
    kind: "policy",
    name: "late",
    document: { resource: "r", allow: [], conditions: { time: ["daily 22:00-24:00 UTC"], verified: true } },
  },
  {
    kind: "user",
    name: "max",
    document: { password_hash: "x", totp_secret: "x", token_file: "/etc/shadow" },
  },
];
const CIRCUMSTANCES = {
  remoteIp: "::ffff:10.1.2.3",
  region: "de",
  providerId: "local",
  verified: true,
  unixNow: 1_774_746_000,
};

/** The object that a text is, if it is one. */
function objectIn(text: string): PolicyObject[] {
  try {
    const { kind, name, document } = JSON.parse(text);
    const isObject = OBJECT_KINDS.includes(kind) && typeof name === "string" &&
      typeof document === "object" &&
      document !== null;
    return isObject ? [{ kind, name, document }] : [];
  } catch {
    return [];
  }
}

/** A policy with lines lost, doubled, in other places, and with other values; or an object, changed. */
function generate(dice: Dice): Uint8Array {
  if (dice.once(4)) {
    let object: unknown = structuredClone(dice.pick(OBJECTS));
    for (let changes = dice.below(4); changes > 0; changes--) object = change(object, dice, 5);
    return fromText(JSON.stringify(object) ?? "null");
  }
  let lines = dice.pick([POLICY, FULL, PEOPLE]).split("\n");
  for (let changes = 1 + dice.below(4); changes > 0; changes--) {
    const at = dice.below(lines.length), line = lines[at]!;
    switch (dice.below(4)) {
      case 0:
        lines = lines.toSpliced(at, 1);
        break;
      case 1:
        lines = lines.toSpliced(dice.below(lines.length), 0, line);
        break;
      case 2:
        lines[at] = line.replace(/=.*/, `= ${dice.pick(WORDS)}`);
        break;
      default:
        lines[at] = dice.pick(WORDS) + line;
    }
  }
  return fromText(lines.join("\n"));
}

export const target: FuzzTarget = {
  title: "any policy file is read or refused with its mistakes, and no mistake quotes a secret",
  seeds: [...[POLICY, FULL, PEOPLE], ...OBJECTS.map((one) => JSON.stringify(one))].map(fromText),
  corpus,
  dictionary: WORDS.map(fromText),
  generate,
  smoke: 800,
  start: () => (input) => {
    const text = new TextDecoder().decode(input);
    const resource = parseTarget(text);
    if (typeof resource !== "string" && resource.type === "dns") {
      new DomainPattern(resource.pattern).matches("a.b.c");
    }
    new DomainPattern(text).matches("a.b.c.d.e.f");
    const objects = objectIn(text);
    try {
      const policy = parsePolicy(objects.length > 0 ? FULL : text, SOURCE, objects);
      for (const resource of policy.resources) {
        for (const actor of policy.actors) accessTo(resource.id, actor, policy, CIRCUMSTANCES);
      }
      const lines = [...differences(FULL_POLICY, policy), ...differences(policy, FULL_POLICY)];
      assert.ok(!lines.join().includes(SECRET), "a secret in a difference");
      assert.deepEqual(differences(policy, policy), []);
      return `${policy.sites.length} ${policy.actors.length} ${policy.resources.length} ${policy.relays.length} ${policy.accessPolicies.length}`;
    } catch (error) {
      assert.ok(error instanceof PolicyError, String(error));
      assert.ok(!error.message.includes(SECRET), "a secret in a mistake");
      assert.ok(error.problems.length > 0);
      return error.problems.map(({ key }) => key.replace(/\d+/g, "n")).sort()[0]!.slice(0, 30);
    }
  },
};

function differences(old: PortalPolicy, next: PortalPolicy): string[] {
  const device = { name: "phone", owner: "jane", circumstances: CIRCUMSTANCES };
  return diffLines(diffPolicies(old, next, [device]));
}
