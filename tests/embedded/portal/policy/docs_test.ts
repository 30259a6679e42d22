/** What the documentation says is what the program does. */
import assert from "node:assert/strict";
import * as v from "valibot";
import { portal } from "../../../../mod/cli/commands/portal/mod.ts";
import { parsePolicy } from "../../../../mod/embedded/portal/policy/file.ts";
import { policySchema } from "../../../../mod/embedded/portal/policy/schema.ts";
import { conditionsSchema } from "../../../../mod/embedded/portal/policy/condition_schema.ts";

const DOCS = Deno.readTextFileSync(new URL("../../../../docs/portal.md", import.meta.url));
const EXAMPLE = /```toml\n([^]*?)```/.exec(DOCS)![1]!;
const FILES: Readonly<Record<string, string>> = {
  "joe.hash": "$scrypt$ln=15,r=8,p=3$AAECAwQFBgcICQoLDA0ODw$UGFzc3dvcmRzIGF0IHJlc3QgYXJlIHNjcnlwdGVkLiE",
  "jane.totp": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
};

Deno.test("the example of a policy file in the documentation is one", () => {
  const policy = parsePolicy(EXAMPLE, {
    file: "docs/portal.md",
    readSecret: (path) => FILES[path] ?? `a-secret-for-${path}`,
  });
  assert.equal(policy.actors.length, 3);
  assert.equal(policy.accessPolicies.length, 4);
});

Deno.test("the example has every key that there is", () => {
  const keys = (schema: v.GenericSchema): string[] => {
    const inner = schema as {
      type: string;
      entries?: object;
      item?: v.GenericSchema;
      wrapped?: v.GenericSchema;
    };
    if (inner.wrapped) return keys(inner.wrapped);
    if (inner.item) return keys(inner.item);
    return Object.entries(inner.entries ?? {}).flatMap(([key, value]) => [key, ...keys(value)]);
  };
  const all = [...keys(policySchema), ...keys(conditionsSchema)];
  assert.ok(all.length > 50, `${all.length} keys`);
  for (const key of all) assert.match(EXAMPLE, new RegExp(`(^|\\[|[.{ ])${key}( =|\\]|$)`, "m"), key);
});

Deno.test("the documentation names every verb, and none that there isn't", async () => {
  const said: string[] = [];
  const log = console.log;
  console.log = (text: string) => void said.push(text);
  try {
    await portal.run(["--help"], () => undefined);
  } finally {
    console.log = log;
  }
  const verbs = [...said.join("\n").split("Verbs,")[1]!.matchAll(/^ {2}([a-z-]+)(?: ([a-z]+))? {2,}/gm)];
  assert.ok(verbs.length > 40, `${verbs.length} verbs`);
  const section = DOCS.split("## Verbs")[1]!.split("\n## ")[0]!;
  for (const [, first, second] of verbs) {
    assert.match(section, new RegExp(`\\b${first}\\b`));
    if (second) assert.match(section, new RegExp(`\\b${second}\\b`), `${first} ${second}`);
  }
  const known = new Set(verbs.map(([, first]) => first!));
  for (const [, word] of DOCS.matchAll(/^postern portal ([a-z]+)\b(?!\.toml)/gm)) {
    assert.ok(known.has(word!) || word === "policy", `${word}`);
  }
});
