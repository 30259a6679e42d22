import assert from "node:assert/strict";
import { parsePolicy, PolicyError } from "../../mod/embedded/portal/policy/file.ts";
import { parseTarget } from "../../mod/embedded/portal/policy/resource_address.ts";
import { DomainPattern } from "../../mod/policy/domain_pattern.ts";
import { POLICY } from "../embedded/portal/portal_world.ts";
import corpus from "./corpus/policy_file.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { fromText, type FuzzTarget } from "./target.ts";

const SECRET = "secret-secret-secret";
const SOURCE = { file: "policy.toml", readSecret: () => SECRET };
const FULL = `[account]\nslug = "home"\ndns = ["1.1.1.1"]\n[[site]]\nname = "a"\n[[gateway]]\nname = "g"\n` +
  `token = "0123456789abcdef"\n[[client]]\nname = "c"\ntoken_file = "t"\ngroups = ["x"]\n` +
  `expires = 2031-01-01T00:00:00Z\n[[resource]]\nname = "r"\naddress = "10.0.0.0/8"\nallow = ["c", "x"]\n` +
  `filters = ["tcp/1-2", "icmp", "udp"]\nip_stack = "dual"\n[[resource]]\nname = "d"\naddress = "*.corp.example"\n` +
  `allow = ["everyone"]\n[[relay]]\nipv4 = "192.0.2.1"\nsecret = "0123456789abcdef"\n`;
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
  ]);

/** A policy with lines lost, doubled, in other places, and with other values. */
function generate(dice: Dice): Uint8Array {
  let lines = dice.pick([POLICY, FULL]).split("\n");
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
  seeds: [POLICY, FULL].map(fromText),
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
    try {
      const policy = parsePolicy(text, SOURCE);
      return `${policy.sites.length} ${policy.actors.length} ${policy.resources.length} ${policy.relays.length}`;
    } catch (error) {
      assert.ok(error instanceof PolicyError, String(error));
      assert.ok(!error.message.includes(SECRET), "a secret in a mistake");
      assert.ok(error.problems.length > 0);
      return error.problems.map(({ key }) => key.replace(/\d+/g, "n")).sort()[0]!.slice(0, 30);
    }
  },
};
