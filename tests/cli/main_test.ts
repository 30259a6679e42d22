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

Deno.test("a token file that is not there is said with its path, and a credential is found, with status 1", async () => {
  const missing = await postern(["gateway", "--no-check"], { FIREZONE_TOKEN: "/not/there" });
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /Cannot read the token from \/not\/there: there is no such file/);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/FIREZONE_TOKEN`, "secret-token\n");
    const { code, stdout, stderr } = await postern(["gateway", "--no-check"], {
      CREDENTIALS_DIRECTORY: folder,
      HTTPS_PROXY: "socks5://me:hidden@proxy",
    });
    assert.equal(code, 1);
    assert.match(
      stdout,
      /Failed to start gateway: Cannot use the proxy of HTTPS_PROXY: socks5 is not supported/,
    );
    assert.doesNotMatch(stdout + stderr, /secret-token|hidden/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a policy with a mistake ends up with status 1 and the line", async () => {
  const policy = await Deno.makeTempFile({ suffix: ".toml" });
  try {
    await Deno.writeTextFile(policy, '[[site]]\nnmae = "x"\n');
    const { code, stdout } = await postern(["portal", policy]);
    assert.equal(code, 1);
    assert.match(stdout, /ERROR portal: .*\.toml:2: site\[1\]\.nmae: unknown key/);
    assert.match(stdout, /ERROR cli: Failed to start portal: the policy has \d mistake/);
  } finally {
    await Deno.remove(policy);
  }
});
