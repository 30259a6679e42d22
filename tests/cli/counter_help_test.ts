import assert from "node:assert/strict";
import { COUNTER_SECTIONS, counterHelp } from "../../mod/cli/counter_help.ts";
import { Duo } from "../gateway/duo.ts";

const ROOT = new URL("../../", import.meta.url);
/** Current numbers in a counter's place. */
const GAUGES = ["relay_allocations", "relay_channels"];

async function* sources(folder: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* sources(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield await Deno.readTextFile(new URL(name, folder));
  }
}

/** Everything that is ever registered: by whole cores, and by name in the sources. */
async function registered(): Promise<Set<string>> {
  const { gatewayEnd, clientEnd } = new Duo({ flows: true });
  const names = new Set([...gatewayEnd.counters.names, ...clientEnd.counters.names]);
  for (const folder of ["mod/", "ffi/"]) {
    for await (const text of sources(new URL(folder, ROOT))) {
      for (const [, name] of text.matchAll(/\.register\(\s*"([a-z0-9_]+)"/g)) names.add(name!);
      for (const [, name] of text.matchAll(/^export const [A-Z_]+ = "(flow_[a-z_]+)";$/gm)) names.add(name!);
    }
  }
  for (const gauge of GAUGES) names.delete(gauge);
  return names;
}

const described = COUNTER_SECTIONS.flatMap(([, counters]) => Object.keys(counters));

Deno.test("every counter that is registered is described, and nothing else is", async () => {
  const names = await registered();
  assert.deepEqual([...names].filter((name) => counterHelp(name) === undefined), [], "without a description");
  assert.deepEqual(described.filter((name) => !names.has(name)), [], "described, but counted nowhere");
  assert.equal(new Set(described).size, described.length, "described twice");
});

Deno.test("docs/metrics.md has a row for each counter, with the same words, in the same sections", async () => {
  const text = await Deno.readTextFile(new URL("docs/metrics.md", ROOT));
  const sections = text.split(/^## /m).slice(1);
  for (const [index, [title, counters]] of COUNTER_SECTIONS.entries()) {
    const rows = [...sections[index]!.matchAll(/^\| `postern_(\w+)_total`\s*\| (.*?)\s*\|$/gm)];
    assert.equal(sections[index]!.split("\n")[0], title);
    assert.deepEqual(rows.map(([, name, help]) => [name, help]), Object.entries(counters));
  }
  assert.equal([...text.matchAll(/^\| `postern_\w+_total`/gm)].length, described.length);
});
