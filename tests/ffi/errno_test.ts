import assert from "node:assert/strict";
import { describeErrno, errno, errnoName, SystemError } from "../../ffi/errno.ts";
import { libc } from "../../ffi/libc.ts";

Deno.test("errno is what the last failed call of this thread left", () => {
  assert.equal(libc().close(-1), -1);
  assert.equal(errno(), 9);
  assert.equal(libc().socket(12345, 0, 0), -1);
  assert.equal(errno(), 97);
});

Deno.test("a SystemError says what could not be done, why, and what to do", () => {
  const error = new SystemError("bind UDP port 52625", "bind", 98, "Stop the other process.");
  assert.equal(
    error.message,
    "Cannot bind UDP port 52625: bind gave address already in use (EADDRINUSE). Stop the other process.",
  );
  assert.deepEqual([error.call, error.errno, error.code], ["bind", 98, "EADDRINUSE"]);
});

Deno.test("an error number without a name here is still told", () => {
  assert.equal(errnoName(200), "errno 200");
  assert.equal(describeErrno(200), "errno 200");
});
