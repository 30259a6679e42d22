import assert from "node:assert/strict";
import { run } from "../../mod/embedded/testbed/mod.ts";
import { VERSION } from "../../mod/cli/version.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const postern = (args: string[], env: Record<string, string> = {}) =>
  run([Deno.execPath(), "run", "-A", "--no-check", MAIN, ...args], {
    env: { NO_COLOR: "1", FIREZONE_TOKEN: "", ...env },
  });

Deno.test("the version goes to stdout with status 0", async () => {
  const { code, stdout } = await postern(["--version"]);
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`^postern ${VERSION.replaceAll(".", "\\.")} \\(Deno `));
});

Deno.test("the help lists every command and marks the default one", async () => {
  const { code, stdout } = await postern(["--help"]);
  assert.equal(code, 0);
  for (const name of ["gateway", "up", "portal", "relay", "client", "demo"]) {
    assert.match(stdout, new RegExp(`^  ${name} `, "m"));
  }
  assert.match(stdout, /gateway .*\[default\]/);
});

Deno.test("each command has a help of its own with status 0", async () => {
  for (const name of ["gateway", "up", "portal", "relay", "client", "demo"]) {
    const { code, stdout } = await postern([name, "--help"]);
    assert.equal(code, 0, name);
    assert.match(stdout, new RegExp(`Usage: postern ${name}`));
  }
});

Deno.test("a usage error is told on stderr with status 2", async () => {
  const { code, stdout, stderr } = await postern(["--bogus"]);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /^postern gateway: Unknown option `--bogus`\.\nTry `postern gateway --help`\.$/m);
});

Deno.test("a gateway without a token says every place where it could be, with status 1", async () => {
  const { code, stderr } = await postern(["gateway"]);
  assert.equal(code, 1);
  assert.match(stderr, /there is no token/);
});

Deno.test("a policy with a mistake ends up with status 1 and the line", async () => {
  const policy = await Deno.makeTempFile({ suffix: ".toml" });
  try {
    await Deno.writeTextFile(policy, '[[site]]\nnmae = "x"\n');
    const { code, stdout } = await postern(["portal", policy]);
    assert.equal(code, 1);
    assert.match(stdout, /ERROR cli: Failed to start portal: .*nmae/);
  } finally {
    await Deno.remove(policy);
  }
});
