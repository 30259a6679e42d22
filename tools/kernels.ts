/**
 * `deno task kernels`: compiles the AssemblyScript kernels (`*.as`) and writes the bytes as base64 into `*_wasm.ts`
 * beside each. Those are committed, so that running needs neither a compiler nor a file. With `--check` it writes
 * nothing and fails when one is out of date.
 */
import asc from "assemblyscript/asc";

const KERNELS = ["mod/packet/kernels/checksum.as", "mod/crypto/kernels/chacha20_poly1305.as"].map((path) =>
  new URL(`../${path}`, import.meta.url)
);
const FLAGS = ["-O3", "--noAssert", "--runtime", "stub", "--importMemory", "--enable", "simd"];

/** WebAssembly bytes of one source; throws with the compiler's messages when it does not compile. */
async function compile(source: URL): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(["kernel.ts", "--outFile", "kernel.wasm", ...FLAGS], {
    readFile: (file: string) => file === "kernel.ts" ? Deno.readTextFileSync(source) : null,
    writeFile: (_file: string, contents: Uint8Array | string) => {
      if (typeof contents !== "string") binary = contents;
    },
    listFiles: () => [],
  });
  if (error || !binary) {
    throw new Error(`Cannot compile ${source.pathname}: ${error?.message}\n${stderr.toString()}`);
  }
  return binary;
}

/** The generated module, formatted as `deno fmt` would. */
function moduleText(name: string, binary: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...binary));
  const lines = base64.match(/.{1,100}/g)!.map((line) => `  "${line}"`);
  return `// Generated from ${name}.as by \`deno task kernels\`; do not edit.\n` +
    `export const ${name.toUpperCase()}_WASM = [\n${lines.join(",\n")},\n].join("");\n`;
}

const check = Deno.args.includes("--check");
let stale = 0;
for (const source of KERNELS) {
  const name = /([^/]+)\.as$/.exec(source.pathname)![1]!;
  const file = new URL(`${name}_wasm.ts`, source);
  const fresh = moduleText(name, await compile(source));
  if (!check) Deno.writeTextFileSync(file, fresh);
  else if (Deno.readTextFileSync(file) !== fresh) {
    console.error(`Cannot accept ${name}_wasm.ts: it differs from a fresh build. Run \`deno task kernels\`.`);
    stale++;
  }
}
if (stale > 0) Deno.exit(1);
