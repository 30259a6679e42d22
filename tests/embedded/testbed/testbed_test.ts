import assert from "node:assert/strict";
import { BackgroundProcess, run } from "../../../mod/embedded/testbed/mod.ts";

Deno.test("run returns status, stdout and stderr, and feeds stdin", async () => {
  const result = await run(["sh", "-c", "cat; echo no >&2; exit 3"], { input: "yes" });
  assert.deepEqual(result, { code: 3, stdout: "yes", stderr: "no\n" });
});

Deno.test("run kills a command that takes too long", async () => {
  assert.equal((await run(["sleep", "60"], { timeoutMs: 50 })).code, 137);
});

Deno.test("a background process is waited for by its output and stopped for certain", async () => {
  const lines: string[] = [];
  const script = "trap '' TERM; echo ready; echo 42; while :; do sleep 0.05; done";
  const process = new BackgroundProcess(["sh", "-c", script], { onLine: (line) => lines.push(line) });
  assert.equal((await process.waitFor(/^\d+$/m, 5000))[0], "42");
  assert.equal(await process.ended(0), undefined);
  await process.stop();
  assert.deepEqual(lines, ["ready", "42"]);
  assert.equal(process.status?.signal, "SIGKILL");
});

Deno.test("stopping does not wait for grandchildren that hold the pipes", async () => {
  const process = new BackgroundProcess(["sh", "-c", "echo ready; sleep 30 & echo $!; sleep 30"]);
  const [pid] = await process.waitFor(/^\d+$/m, 5000);
  await process.stop();
  Deno.kill(Number(pid), "SIGKILL");
  assert.equal(process.status?.signal, "SIGTERM");
});

Deno.test("waiting for output of a process that ended fails with its last lines", async () => {
  const process = new BackgroundProcess(["sh", "-c", "echo broken; exit 7"], { label: "peer" });
  await assert.rejects(process.waitFor(/ready/, 5000), /peer: it ended with status 7[^]*\| broken/);
});

Deno.test("waiting too long fails and names the pattern", async () => {
  const process = new BackgroundProcess(["sleep", "60"], { label: "peer" });
  await assert.rejects(process.waitFor(/ready/, 20), /peer did not print \/ready\/ within 20 ms/);
  await process.stop();
});
