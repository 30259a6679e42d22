import assert from "node:assert/strict";
import fc from "fast-check";
import { stringify } from "smol-toml";
import { parsePolicy, PolicyError } from "../../../../mod/embedded/portal/policy/file.ts";
import type { ObjectKind, PolicyObject } from "../../../../mod/embedded/portal/policy/objects.ts";

const FILE = `
[[site]]
name = "home"
[[client]]
name = "laptop"
groups = ["family"]
token = "laptop-token-0123456789"
[[resource]]
name = "Intranet"
address = "10.20.0.0/16"
site = "home"
`;

const source = { file: "policy.toml", readSecret: () => "" };

/** A policy, or what is wrong with it, without the places. */
function outcome(text: string, objects: readonly PolicyObject[]) {
  try {
    return parsePolicy(text, source, objects);
  } catch (error) {
    assert.ok(error instanceof PolicyError, String(error));
    return error.problems.map(({ message }) => message).sort();
  }
}

const names = fc.constantFrom("a", "b", "c", "laptop", "Intranet", "home");
const allow = fc.array(fc.constantFrom("everyone", "laptop", "family", "a", "b", "kids"), { maxLength: 3 });
const object = fc.oneof<fc.Arbitrary<PolicyObject>[]>(
  entry("site", fc.constant({})),
  entry(
    "user",
    fc.record({
      groups: fc.subarray(["kids", "family"]),
      admin: fc.boolean(),
      session: fc.constantFrom("10h", "7d", "soon"),
      expires: fc.constantFrom("2031-01-31T00:00:00Z", "tomorrow"),
    }, { requiredKeys: [] }),
  ),
  entry(
    "resource",
    fc.record({
      address: fc.constantFrom("10.1.2.3/8", "*.corp.example", "internet", "localhost"),
      allow,
      sites: fc.constantFrom(["home"], ["a"], []),
      filters: fc.subarray(["tcp/443", "udp", "icmp", "tcp:1"]),
      ip_stack: fc.constantFrom("dual", "ipv6_only"),
    }, { requiredKeys: ["address", "sites"] }),
  ),
  entry(
    "policy",
    fc.record({
      resource: fc.constantFrom("Intranet", "a", "b"),
      allow,
      conditions: fc.record({
        time: fc.constantFrom(["mon-fri 09:00-17:00 UTC"], ["never"]),
        remote_ip_in: fc.constantFrom(["10.0.0.0/8"], []),
        verified: fc.boolean(),
      }, { requiredKeys: [] }),
    }, { requiredKeys: ["resource", "allow"] }),
  ),
);

function entry(kind: ObjectKind, document: fc.Arbitrary<object>): fc.Arbitrary<PolicyObject> {
  return fc.tuple(names, document).map(([name, document]) => ({
    kind,
    name,
    document: document as Record<string, unknown>,
  }));
}

/** The same objects as the file would have them. */
function written(objects: readonly PolicyObject[]): string {
  const tables = objects.map(({ kind, name, document }) => stringify({ [kind]: [{ name, ...document }] }));
  return `${FILE}\n${tables.join("\n")}`;
}

/** The same name twice is told apart by where it was made. */
const plain = (result: ReturnType<typeof outcome>) =>
  Array.isArray(result)
    ? result.map((message) => message.replace(/^("\w+") (is there|stands in).*$/, "$1 twice"))
    : result;

Deno.test("property: objects made by verbs mean what the same entries in the file would, mistakes included", () => {
  let valid = 0;
  fc.assert(
    fc.property(fc.array(object, { maxLength: 4 }), (objects) => {
      // The file has all entries of one kind together; so does the merged policy.
      const ordered = objects.toSorted((a, b) => a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : 0);
      const byVerbs = outcome(FILE, ordered);
      assert.deepEqual(plain(byVerbs), plain(outcome(written(ordered), [])));
      if (!Array.isArray(byVerbs)) valid++;
    }),
    { numRuns: 500 },
  );
  assert.ok(valid > 25, `${valid} of 500 are valid`);
});
