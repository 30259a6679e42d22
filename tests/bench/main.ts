/**
 * `deno task bench [name …] [--json] [--rounds 5] [--seconds 3] [--only contender]`
 *
 * Names: `micro` (every `*_bench.ts`), a `*_bench.ts` file's room, `tcp`, `udp`, `ping` (end to end in network
 * namespaces, against wireguard-go), or `connect`, `scale`, `flood`, `relay` (in namespaces too, the last one against
 * coturn). Without a name: all.
 * Progress goes to stderr, the figures to stdout.
 */
// @ts-types="../../mod/cli/parse_args.d.ts"
import { parseArgs } from "@std/cli/parse-args";
import { insideSandbox, runInSandbox, sandboxObstacle } from "../../mod/embedded/testbed/mod.ts";
import type { BenchModule, Figure, SystemBench } from "./figure.ts";
import { machine } from "./machine.ts";
import { compare, type Part } from "./tunnel/compare.ts";
import type { Contender } from "./tunnel/contender.ts";
import { postern } from "./tunnel/postern.ts";
import { findWireguardGo, wireguardGo } from "./tunnel/wireguard_go.ts";

const FOLDER = new URL("./", import.meta.url);
const PARTS: readonly Part[] = ["tcp", "udp", "ping"];
/** Whole systems in namespaces: `<name>/<name>.ts` exports `figures(say, options)`. */
const SYSTEMS = ["connect", "scale", "flood", "relay"] as const;
const say = (line: string) => console.error(line);

async function microNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) {
    if (name.endsWith("_bench.ts")) names.push(name.slice(0, -"_bench.ts".length));
  }
  return names.sort();
}

async function runMicro(names: readonly string[]): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const name of names) {
    say(`micro: ${name}`);
    const module: BenchModule = await import(new URL(`${name}_bench.ts`, FOLDER).href);
    figures.push(...await module.figures());
  }
  return figures;
}

/** The end-to-end part runs in a sandbox of its own. */
async function runTunnel(parts: readonly Part[], options: Record<string, unknown>): Promise<Figure[]> {
  return await enterSandbox({ parts, ...await findWireguardGo(), ...options });
}

/** Runs this program in a sandbox with the request; the figures come back in a file. */
async function enterSandbox(request: Readonly<Record<string, unknown>>): Promise<Figure[]> {
  const obstacle = await sandboxObstacle();
  if (obstacle !== undefined) throw new Error(obstacle);
  const output = await Deno.makeTempFile();
  try {
    const code = await runInSandbox(
      [Deno.execPath(), "run", "-A", Deno.mainModule, "--inside", JSON.stringify({ ...request, output })],
    );
    if (code !== 0) throw new Error(`The bench in namespaces ended with status ${code}.`);
    return JSON.parse(await Deno.readTextFile(output));
  } finally {
    await Deno.remove(output);
  }
}

async function runInside(text: string): Promise<void> {
  const { system, parts, binary, version, output, rounds, seconds, only } = JSON.parse(text);
  let figures: readonly Figure[];
  if (system) {
    const module: SystemBench = await import(new URL(`${system}/${system}.ts`, FOLDER).href);
    figures = await module.figures(say, { rounds, seconds });
  } else {
    const contenders: Contender[] = [postern(), wireguardGo(binary, version)]
      .filter(({ name }) => only === undefined || name === only);
    figures = await compare(contenders, { parts, rounds, seconds, say });
  }
  await Deno.writeTextFile(output, JSON.stringify(figures));
}

function table(figures: readonly Figure[]): string {
  const width = Math.max(...figures.map(({ name }) => name.length)) + 2;
  return figures.map(({ name, value, unit, samples }) => {
    const spread = samples && samples.length > 1
      ? `   [${Math.min(...samples).toPrecision(3)} … ${Math.max(...samples).toPrecision(3)}]`
      : "";
    return `${name.padEnd(width)}${value.toPrecision(4).padStart(9)} ${unit.padEnd(7)}${spread}`.trimEnd();
  }).join("\n");
}

async function main(): Promise<number> {
  const options = parseArgs(Deno.args, {
    boolean: ["json", "help"],
    string: ["rounds", "seconds", "only", "inside", "_"],
  });
  if (typeof options.inside === "string") {
    if (!insideSandbox()) throw new Error("--inside is for the bench itself.");
    await runInside(options.inside);
    return 0;
  }
  const micro = await microNames();
  const known = ["micro", ...micro, ...PARTS, ...SYSTEMS];
  const unknown = options._.filter((name) => !known.includes(name));
  if (options.help || unknown.length > 0) {
    console.error("Usage: deno task bench [name …] [--json] [--rounds 5] [--seconds 3] [--only contender]");
    console.error(`Names: ${known.join(", ")}`);
    return options.help ? 0 : 2;
  }
  const wanted = (name: string) => options._.length === 0 || options._.includes(name);
  const parts = PARTS.filter(wanted);
  const figures = await runMicro(micro.filter((name) => wanted(name) || wanted("micro")));
  if (parts.length > 0) {
    figures.push(
      ...await runTunnel(parts, {
        rounds: Number(options.rounds ?? 5),
        seconds: Number(options.seconds ?? 3),
        ...(typeof options.only === "string" ? { only: options.only } : {}),
      }),
    );
  }
  for (const system of SYSTEMS.filter(wanted)) {
    say(`${system}:`);
    const given = (value: unknown) => value === undefined ? undefined : Number(value);
    figures.push(
      ...await enterSandbox({ system, rounds: given(options.rounds), seconds: given(options.seconds) }),
    );
  }
  if (options.json) console.log(JSON.stringify({ machine: machine(), figures }, undefined, 2));
  else if (figures.length > 0) console.log(`${machine()}\n\n${table(figures)}`);
  return 0;
}

Deno.exit(await main());
