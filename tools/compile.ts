/**
 * `deno task compile`: the real `deno compile`. It needs `denort`, the runtime for executables, which Deno downloads
 * on first use from dl.deno.land (or takes from DENORT_BIN). Where that host cannot be reached this says so and fails:
 * nothing else may claim that a compiled executable was built or tested.
 */
import { PERMISSIONS, V8_FLAGS } from "./permissions.ts";
import { findWorkers } from "./workers.ts";

const ROOT = new URL("../", import.meta.url);
const OUTPUT = "dist/postern-compiled";

const workers = await findWorkers(ROOT);
await Deno.mkdir(new URL("dist/", ROOT), { recursive: true });
const args = [
  "compile",
  `--v8-flags=${V8_FLAGS.join(",")}`,
  ...PERMISSIONS,
  "--no-prompt",
  ...workers.flatMap(({ path }) => ["--include", path]),
  "--output",
  OUTPUT,
  "main.ts",
];
console.log(`deno ${args.join(" ")}`);
const { code, stderr } = await new Deno.Command(Deno.execPath(), {
  args,
  cwd: ROOT.pathname,
  stdin: "null",
  stdout: "inherit",
  stderr: "piped",
}).output();
const said = new TextDecoder().decode(stderr);
Deno.stderr.writeSync(stderr);
if (code === 0) {
  console.log(`${OUTPUT}: built. Try it: ${OUTPUT} --version`);
} else if (/denort|base binary|dl\.deno\.land/i.test(said)) {
  console.error(
    "\nCannot compile: `denort` could not be had from dl.deno.land. Run this where that host can be reached, or " +
      "set DENORT_BIN to a denort of exactly this Deno version. `deno task bundle` needs no download.",
  );
}
Deno.exit(code === 0 ? 0 : 1);
