/** tests/README.md says which test shows which behaviour: it must not say so of tests that don't exist. */
import assert from "node:assert/strict";

const TESTS = new URL("../", import.meta.url);
/** A name in quotation marks and its file: `"…" (room/noun_test.ts)`. A `…` in a name stands for anything. */
const CITATION = /"([^"]+)"\s\(([\w/.]+\.ts)\)/g;

Deno.test("every test that the checklists in tests/README.md name exists", async () => {
  const text = await Deno.readTextFile(new URL("README.md", TESTS));
  const citations = [...text.matchAll(CITATION)];
  assert.ok(citations.length > 200, `${citations.length} citations`);
  for (const [, name, file] of citations) {
    const source = await Deno.readTextFile(new URL(file!, TESTS));
    const isThere = name!.split("…").every((part) => source.includes(part));
    assert.ok(isThere, `${file} has no test called "${name}".`);
  }
});
