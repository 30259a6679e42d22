import { strict as assert } from "node:assert";
import fc from "fast-check";
import { DomainPattern } from "../../mod/policy/domain_pattern.ts";

const MATCHES: [pattern: string, ...names: string[]][] = [
  ["**.example.com", "example.com", "foo.example.com", "foo.bar.example.com"],
  ["app.**.example.com", "app.bar.foo.example.com", "app.example.com"],
  ["*.example.com", "foo.example.com", "example.com"],
  ["foo.*.example.com", "foo.bar.example.com"],
  ["app.*.*.example.com", "app.foo.bar.example.com"],
  ["app.f??.example.com", "app.foo.example.com"],
  ["app.example.com", "app.example.com", "APP.Example.COM"],
  ["*?*.example.com", "app.example.com"],
  ["app.**.web.**.example.com", "app.web.example.com", "app.a.b.web.c.example.com"],
  ["example.**", "example.com", "example.co.uk"],
  ["**", "example.com", "localhost"],
  ["h[0-9][!a-c].example.com", "h0d.example.com", "h9-.example.com"],
  ["[]x].example.com", "].example.com", "x.example.com"],
  ["[A-C]pp.example.com", "app.example.com", "BPP.example.com"],
];

const MISSES: [pattern: string, ...names: string[]][] = [
  ["app.*.example.com", "app.foo.bar.example.com", "app.example.com"],
  ["app.*com", "app.foo.com"],
  ["app?com", "app.com"],
  ["app[!x]com", "app.com"],
  ["app[.]com", "app.com"],
  ["*.example.com", "a.b.example.com", "example.org", "fooexample.com"],
  ["example.com", "app.example.com", "example.com.evil", "example.co", "example.comm"],
  ["**.example.com", "fooexample.com", "example.com.evil"],
  ["example.**", "example", "examples.com"],
  ["h[0-9].example.com", "ha.example.com"],
  ["", "example.com"],
];

Deno.test("the patterns of the specification match what they must", () => {
  for (const [pattern, ...names] of MATCHES) {
    for (const name of names) assert.ok(new DomainPattern(pattern).matches(name), `${pattern} ~ ${name}`);
  }
});

Deno.test("the patterns of the specification don't match what they must not", () => {
  for (const [pattern, ...names] of MISSES) {
    for (const name of names) assert.ok(!new DomainPattern(pattern).matches(name), `${pattern} !~ ${name}`);
  }
});

Deno.test("invalid patterns match nothing, not even themselves", () => {
  for (
    const pattern of [
      "***",
      "a.***.b",
      "a**",
      "**a.com",
      "a**b.com",
      "*.[ab.com",
      "[",
      "[]",
      "[!]",
      "*.x.****",
    ]
  ) {
    const compiled = new DomainPattern(pattern);
    assert.ok(!compiled.valid, pattern);
    for (const name of [pattern, "a", "x", "b.com", pattern.slice(2)]) assert.ok(!compiled.matches(name));
  }
});

Deno.test("a pattern keeps its text", () => {
  assert.equal(new DomainPattern("*.Example.com").text, "*.Example.com");
});

/** The same language by another road: a regular expression over names whose labels end with a dot. */
function regExp(labels: readonly string[]): RegExp {
  const source = labels.map((label) =>
    label === "**"
      ? "(?:[^.]*\\.)*"
      : label.replaceAll("?", "\u0001").replaceAll("*", "[^.]*").replaceAll("\u0001", "[^.]") + "\\."
  );
  return new RegExp(`^${source.join("")}$`);
}

Deno.test("random patterns of literals, ?, * and ** agree with regular expressions", () => {
  const part = fc.constantFrom("a", "b", "?", "*");
  const label = fc.oneof(
    { weight: 3, arbitrary: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("")) },
    { weight: 1, arbitrary: fc.constant("**") },
  ).map((text) => text.length > 1 && text.includes("**") && text !== "**" ? "a" : text);
  const labels = fc.array(label, { minLength: 1, maxLength: 4 });
  const name = fc.array(
    fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 2 }).map((c) => c.join("")),
    {
      minLength: 1,
      maxLength: 5,
    },
  ).map((parts) => parts.join("."));
  fc.assert(
    fc.property(labels, fc.array(name, { minLength: 5, maxLength: 20 }), (labels, names) => {
      const pattern = new DomainPattern(labels.join("."));
      for (const name of names) {
        // A trailing `**` needs at least one label below; the extra rule gives `*.` its bare remainder.
        const trailing = labels.length > 1 && labels.at(-1) === "**";
        const strict = trailing ? [...labels.slice(0, -1), "**", "*"] : labels;
        const bare = labels[0] === "*" && labels.length > 1 && labels.slice(1).join(".") === name;
        assert.equal(
          pattern.matches(name),
          regExp(strict).test(`${name}.`) || bare,
          `${pattern.text} ~ ${name}`,
        );
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("neither pattern nor name can make matching slow", () => {
  const pattern = new DomainPattern(Array.from({ length: 60 }, () => "*a*").join("") + "b");
  const labels = new DomainPattern(Array.from({ length: 40 }, () => "**").join(".a.") + ".b");
  assert.ok(!pattern.matches("a".repeat(253)));
  assert.ok(!labels.matches("a.".repeat(126)));
});

Deno.test("any pattern and any name are matched without a throw", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "Z", ".", "*", "?", "[", "]", "!", "-", "\u{1f600}") });
  fc.assert(fc.property(text, text, (pattern, name) => {
    new DomainPattern(pattern).matches(name);
  }));
});
