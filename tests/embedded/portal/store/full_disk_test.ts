import assert from "node:assert/strict";
import {
  ControlClient,
  ControlRefusal,
  type StatusView,
  type TokenView,
} from "../../../../mod/embedded/portal/control/mod.ts";

const MAIN = new URL("../../../../main.ts", import.meta.url).pathname;
const PATIENCE = 20_000;
const POLICY = '[[site]]\nname = "home"\n[[client]]\nname = "laptop"\ntoken = "laptop-token-0123456789"\n';

/** Asks until the answer is wanted. */
async function eventually<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  for (const deadline = performance.now() + PATIENCE;;) {
    const answer = await ask().catch((error) => {
      if (performance.now() > deadline) throw error;
      return undefined;
    });
    if (answer !== undefined && wanted(answer)) return answer;
    assert.ok(performance.now() < deadline, `still ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test("a full disk: nothing is acknowledged that isn't stored, the portal says so, and goes on when there is room", async () => {
  const folder = Deno.makeTempDirSync();
  const state = `${folder}/state.db`;
  Deno.writeTextFileSync(`${folder}/policy.toml`, POLICY);
  // No file of this process may grow beyond the limit: writing fails as on a full disk.
  const portal = new Deno.Command("sh", {
    args: [
      "-c",
      'trap "" XFSZ; ulimit -S -f 300; exec "$@"',
      "portal",
      ...[Deno.execPath(), "run", "-A", "--no-check", "--quiet", "--no-code-cache", MAIN, "portal"],
      ...["--listen", "127.0.0.1:0", "--state", state, `${folder}/policy.toml`],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  try {
    const control = new ControlClient(`${state}.sock`);
    const status = () => control.call<StatusView>("GET", ["status"]);
    await eventually(status, () => true);
    const acknowledged: string[] = [];
    const refused = await (async () => {
      for (;;) {
        try {
          acknowledged.push((await control.call<TokenView>("POST", ["tokens"], { name: "laptop" })).id);
        } catch (error) {
          return error;
        }
        assert.ok(acknowledged.length < 1000);
      }
    })();
    assert.ok(refused instanceof ControlRefusal, String(refused));
    assert.equal(refused.status, 503);
    assert.match(
      refused.message,
      /Cannot write the portal's state .*(the disk is full\. Make room|reports an error)/,
    );
    assert.match((await status()).suspended!, /Cannot write the portal's state/);
    // Large enough not to fit into what may be left.
    const document = { groups: Array.from({ length: 1000 }, (_, i) => `group ${"x".repeat(200)} ${i}`) };
    const adding = control.call("POST", ["objects", "client"], { name: "tablet", document });
    await assert.rejects(adding, (error) => error instanceof ControlRefusal && error.status === 503);
    const limit = await new Deno.Command("prlimit", { args: ["--pid", `${portal.pid}`, "--fsize=unlimited"] })
      .output();
    assert.ok(limit.success);
    await eventually(status, ({ suspended }) => suspended === undefined);
    await control.call("POST", ["objects", "client"], { name: "tablet", document });
    const tokens = await control.call<TokenView[]>("GET", ["tokens"]);
    assert.ok(acknowledged.length > 3);
    for (const id of acknowledged) assert.ok(tokens.some((one) => one.id === id));
  } finally {
    portal.kill("SIGKILL");
    await portal.status;
    Deno.removeSync(folder, { recursive: true });
  }
});
