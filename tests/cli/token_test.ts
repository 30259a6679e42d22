import assert from "node:assert/strict";
import { parseOptions } from "../../mod/cli/options.ts";
import { findToken, TOKEN_FILES, TOKEN_VARIABLE } from "../../mod/cli/token.ts";

const files = (content: Record<string, string>) => ({ read: (path: string) => content[path] });
const NONE = files({});

Deno.test("the token is taken from the argument, without white space anywhere", () => {
  assert.equal(findToken(" .ab\n c\t\n", undefined, NONE), ".abc");
});

Deno.test("the argument comes before the variable, and both before the credential", () => {
  const words = [{ name: "TOKEN", env: TOKEN_VARIABLE, help: "" }];
  const variable = () => ".variable";
  const { positionals: both } = parseOptions({}, words, [".argument"], variable);
  assert.equal(findToken(both[0], "/cred", files({ "/cred/FIREZONE_TOKEN": ".credential" })), ".argument");
  const { positionals: one } = parseOptions({}, words, [], variable);
  assert.equal(findToken(one[0], "/cred", files({ "/cred/FIREZONE_TOKEN": ".credential" })), ".variable");
  const { positionals: empty } = parseOptions({}, words, [], () => "");
  assert.equal(
    findToken(empty[0], "/cred", files({ "/cred/FIREZONE_TOKEN": ".credential\n" })),
    ".credential",
  );
});

Deno.test("a token that is the name of a file is replaced by the file's content", () => {
  const content = files({ "/run/secrets/token": " .abc\n", "token.txt": ".def" });
  assert.equal(findToken("/run/secrets/token\n", undefined, content), ".abc");
  assert.equal(findToken("token.txt", undefined, content), ".def");
});

Deno.test("a file that is not there, is empty or cannot be read is said, with its path", () => {
  assert.throws(
    () => findToken("/not/there", undefined, NONE),
    /^CommandError: Cannot read the token from \/not\/there: there is no such file\. Put/,
  );
  assert.throws(() => findToken("./not", undefined, NONE), /Cannot read the token from \.\/not/);
  assert.throws(
    () => findToken("/empty", undefined, files({ "/empty": " \n" })),
    /Cannot read the token from \/empty: it is empty/,
  );
  const denied = {
    read: () => {
      throw new Error("permission denied");
    },
  };
  assert.throws(
    () => findToken(undefined, "/cred", denied),
    /Cannot read the token from \/cred\/FIREZONE_TOKEN: permission denied/,
  );
  assert.throws(() => findToken("/file", undefined, denied), /from \/file: permission denied/);
});

Deno.test("a token that no file can be called is a token", () => {
  const token = `.${"SFMyNTY".repeat(60)}`;
  assert.equal(findToken(token, undefined, TOKEN_FILES), token, "longer than a file name may be");
});

Deno.test("without any token the error names every place", () => {
  for (const value of [undefined, "", " \n"]) {
    assert.throws(
      () => findToken(value, undefined, NONE),
      /there is no token[^]*FIREZONE_TOKEN[^]*systemd credential/,
    );
  }
  assert.throws(() => findToken(undefined, "/cred", NONE), /there is no token/);
});

Deno.test("real files: one without permission, a folder, one that is fine", () => {
  const folder = Deno.makeTempDirSync({ prefix: "postern-token-" });
  try {
    Deno.writeTextFileSync(`${folder}/FIREZONE_TOKEN`, ".abc\n", { mode: 0o400 });
    assert.equal(findToken(undefined, folder, TOKEN_FILES), ".abc");
    assert.throws(() => findToken(folder, undefined, TOKEN_FILES), /Cannot read the token from .*: /);
    if (Deno.uid() !== 0) {
      Deno.chmodSync(`${folder}/FIREZONE_TOKEN`, 0);
      assert.throws(
        () => findToken(undefined, folder, TOKEN_FILES),
        /Cannot read the token from .*: .*denied/i,
      );
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
