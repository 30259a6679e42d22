/**
 * `deno task bundle`: one executable file, `dist/postern`, that runs on a machine without Deno.
 *
 * It is a small shell script with a compressed archive behind it: this Deno binary and the bundled program. Workers
 * are bundled first, embedded as text and started from Blob URLs, since a bundle has no files beside it. The archive
 * is unpacked once into a private cache folder named by its own SHA-256, and the Deno binary replaces the shell
 * (`exec`), so that signals and the exit status are the program's own.
 */

import { runStep } from "./command.ts";
import { PERMISSIONS, V8_FLAGS } from "./permissions.ts";
import { findWorkers } from "./workers.ts";
import project from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const WORK = new URL(".cache/bundle/", ROOT);
const OUTPUT = new URL("dist/postern", ROOT);

async function bundleModule(entry: string, output: string): Promise<void> {
  await runStep(
    Deno.execPath(),
    ["bundle", "--quiet", "--platform", "deno", "--output", output, entry],
    ROOT.pathname,
  );
  await Deno.writeTextFile(output, inAscii(await Deno.readTextFile(output)));
}

/** A script with one character beyond Latin-1 takes V8 two bytes for each: megabytes in every thread. */
function inAscii(script: string): string {
  return script.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

async function bundleProgram(): Promise<void> {
  const workers = await findWorkers(ROOT);
  const lines = [
    `import { main } from "../../mod/cli/mod.ts";`,
    `import { embedWorker } from "../../mod/runtime/worker_source.ts";`,
  ];
  for (const { name, path } of workers) {
    const output = new URL(`worker-${name}.js`, WORK);
    await bundleModule(path, output.pathname);
    lines.push(`embedWorker(${JSON.stringify(name)}, ${JSON.stringify(await Deno.readTextFile(output))});`);
  }
  lines.push(`Deno.exit(await main(Deno.args));`, "");
  const entry = new URL("entry.ts", WORK);
  await Deno.writeTextFile(entry, lines.join("\n"));
  await bundleModule(entry.pathname, new URL("payload/postern.js", WORK).pathname);
}

async function packProgram(): Promise<Uint8Array<ArrayBuffer>> {
  const payload = new URL("payload/", WORK);
  await Deno.copyFile(Deno.execPath(), new URL("deno", payload));
  await Deno.chmod(new URL("deno", payload), 0o755);
  const archive = new URL("payload.tar.gz", WORK).pathname;
  const reproducible = "--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar";
  await runStep("sh", [
    "-c",
    `tar ${reproducible} -C "$1" -cf - deno postern.js | gzip -n -6 > "$2"`,
    "sh",
    payload.pathname,
    archive,
  ]);
  return await Deno.readFile(archive);
}

async function writeExecutable(archive: Uint8Array<ArrayBuffer>): Promise<void> {
  const template = await Deno.readTextFile(new URL("stub.sh", import.meta.url));
  const values: Record<string, string> = {
    VERSION: project.version,
    TARGET: `Deno ${Deno.version.deno}, ${Deno.build.target}`,
    ID: new Uint8Array(await crypto.subtle.digest("SHA-256", archive)).toHex(),
    LINE: String(template.split("\n").length),
    PERMISSIONS: [`--v8-flags=${V8_FLAGS.join(",")}`, ...PERMISSIONS].join(" "),
  };
  const stub = template.replace(/@([A-Z]+)@/g, (_, name: string) => values[name]!);
  await Deno.mkdir(new URL(".", OUTPUT), { recursive: true });
  const temporary = `${OUTPUT.pathname}.new`;
  using file = await Deno.open(temporary, { write: true, create: true, truncate: true, mode: 0o755 });
  for (const part of [new TextEncoder().encode(stub), archive]) {
    for (let done = 0; done < part.length;) done += await file.write(part.subarray(done));
  }
  await Deno.chmod(temporary, 0o755);
  await Deno.rename(temporary, OUTPUT);
}

if (import.meta.main) {
  await Deno.mkdir(new URL("payload/", WORK), { recursive: true });
  await bundleProgram();
  const archive = await packProgram();
  await writeExecutable(archive);
  console.log(`dist/postern: ${(archive.length / 1e6).toFixed(1)} MB, for ${Deno.build.target}.`);
}
