import assert from "node:assert/strict";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const COMMAND = `${Deno.execPath()} run -A --no-check --quiet ${MAIN} portal hash-password`;

/** Types answers at a terminal, each when it is asked for. @returns what the screen shows, and the status */
async function typeAt(answers: readonly (readonly [question: string, keys: string])[]) {
  const child = new Deno.Command("script", {
    args: ["-qefc", COMMAND, "/dev/null"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const keyboard = child.stdin.getWriter();
  const left = [...answers];
  let screen = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    screen += text;
    while (left.length > 0 && screen.includes(left[0]![0])) {
      await keyboard.write(new TextEncoder().encode(left.shift()![1]));
    }
  }
  await keyboard.close().catch(() => {});
  return { screen, code: (await child.status).code };
}

Deno.test("a password is asked for twice at a terminal, can be corrected, and is never shown", async () => {
  const { screen, code } = await typeAt([["Password: ", "wrong\x15secret wordx\x7f\r"], [
    "Again: ",
    "secret word\r",
  ]]);
  assert.equal(code, 0);
  assert.match(screen, /\$scrypt\$/);
  assert.ok(!/secret|wrong/.test(screen), screen);
});

Deno.test("two passwords that differ are none, and Ctrl-C ends it", async () => {
  const differ = await typeAt([["Password: ", "secret word\r"], ["Again: ", "another word\r"]]);
  assert.equal(differ.code, 1);
  assert.match(differ.screen, /the two differ\. Try again/);
  const interrupted = await typeAt([["Password: ", "secret\x03"]]);
  assert.equal(interrupted.code, 1);
  assert.match(interrupted.screen, /interrupted/);
});
