import assert from "node:assert/strict";
import { UsageError } from "../../mod/cli/errors.ts";
import { FLOW_LOG_OPTIONS, flowLogDestination } from "../../mod/cli/flow_logs.ts";
import { parseOptions } from "../../mod/cli/options.ts";

function destination(args: readonly string[], variable?: string) {
  const { options, positionals } = parseOptions(
    FLOW_LOG_OPTIONS,
    [{ name: "TOKEN", help: "" }],
    args,
    (name) => name === "FIREZONE_FLOW_LOGS" ? variable : undefined,
  );
  return [flowLogDestination(options.flowLogs), positionals[0]];
}

Deno.test("--flow-logs alone means stdout and leaves the next word alone; a path stands behind =", () => {
  assert.deepEqual(destination([]), [undefined, undefined]);
  assert.deepEqual(destination(["--flow-logs", "the-token"]), ["stdout", "the-token"]);
  assert.deepEqual(destination(["--flow-logs=/var/log/flows.jsonl", "t"]), ["/var/log/flows.jsonl", "t"]);
  assert.deepEqual(destination(["--", "--flow-logs"]), [undefined, "--flow-logs"]);
});

Deno.test("FIREZONE_FLOW_LOGS is a switch as Firezone's, or a path; a flag goes first", () => {
  for (const text of ["true", "1"]) assert.equal(destination([], text)[0], "stdout");
  for (const text of ["false", "0", ""]) assert.equal(destination([], text)[0], undefined);
  assert.equal(destination([], "./flows")[0], "./flows");
  assert.equal(destination(["--flow-logs=false"], "true")[0], undefined);
  assert.throws(() => destination([], "yes"), UsageError);
});
