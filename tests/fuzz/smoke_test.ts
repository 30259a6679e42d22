/**
 * Every target on its corpus, its seeds and a few thousand inputs that are always the same: what `deno task fuzz` once
 * found stays found. Also the fuzzer itself.
 */
import assert from "node:assert/strict";
import { Dice } from "./dice.ts";
import { fuzz, type FuzzReport } from "./engine.ts";
import { formatEntry, fromHex, type FuzzTarget, parseCorpus } from "./target.ts";
import { TARGETS } from "./targets.ts";

const DEFAULT_SMOKE = 2000;

function run(target: FuzzTarget, executions: number, seed = 1): FuzzReport {
  return fuzz(target, { seed, clock: () => performance.now(), goesOn: (count) => count < executions });
}

for (const [name, target] of Object.entries(TARGETS)) {
  Deno.test(`fuzz ${name}: ${target.title}`, () => {
    const { failure } = run(target, target.smoke ?? DEFAULT_SMOKE);
    if (!failure) return;
    console.error(`Entry for tests/fuzz/corpus/${name}.hex:\n${formatEntry(failure.inputs)}`);
    throw failure.error;
  });
}

/** Fails when it has seen "A", then, in another input, "BC". */
const planted: FuzzTarget = {
  title: "a bug that needs two inputs",
  seeds: [fromHex("00000000")],
  corpus: "",
  start: () => {
    let armed = false;
    return (input) => {
      if (armed && input.includes(0x42) && input[input.indexOf(0x42) + 1] === 0x43) throw new Error("found");
      armed ||= input.includes(0x41);
      return `${armed} ${input.includes(0x42)}`;
    };
  },
};

Deno.test("the fuzzer finds a bug behind two inputs and shows the shortest sequence that has it", () => {
  const { failure, executions } = run(planted, 200_000);
  assert.ok(failure?.isReproducible, `not found in ${executions}`);
  assert.equal(formatEntry(failure.inputs), "41\n4243");
});

Deno.test("the same seed gives the same inputs, another seed others", () => {
  const inputsOf = (seed: number) => {
    const inputs: string[] = [];
    const before = (input: Uint8Array) => void inputs.push(input.toHex());
    fuzz(TARGETS.stun!, { seed, clock: () => 0, goesOn: (count) => count < 200, before });
    return inputs.join();
  };
  assert.equal(inputsOf(7), inputsOf(7));
  assert.notEqual(inputsOf(7), inputsOf(8));
});

Deno.test("an input that holds the thread up is a finding", () => {
  let clock = 0;
  const target: FuzzTarget = { ...planted, start: () => (input) => (clock += input.length > 5 ? 5000 : 1) };
  const { failure } = fuzz(target, { seed: 1, clock: () => clock, goesOn: (count) => count < 5000 });
  assert.match(String(failure?.error), /took 5000 ms/);
  assert.equal(failure?.inputs.at(-1)?.length, 6);
});

Deno.test("corpus entries survive being written and read", () => {
  const entries = [[fromHex("0102"), new Uint8Array(0)], [new Dice(1).bytes(40)]];
  const text = entries.map((entry, i) => `# entry ${i}\n${formatEntry(entry)}\n`).join("\n");
  assert.deepEqual(parseCorpus(text), entries);
});
