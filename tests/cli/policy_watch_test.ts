import assert from "node:assert/strict";
import { type Fingerprints, fingerprints, watchPolicyFiles } from "../../mod/cli/policy_watch.ts";

const PATIENCE = 5_000;
/** Longer than a change takes to settle. */
const QUIET = 500;

/** A folder with a watched `policy.toml`, and how often it has changed. */
class Watched implements Disposable {
  readonly folder = Deno.makeTempDirSync();
  readonly policy = `${this.folder}/policy.toml`;
  changes = 0;
  /** The files before they were read. */
  before: Fingerprints | undefined;
  #watch: { close(): void } | undefined;

  start(...others: string[]): void {
    const files = () => [this.policy, ...others];
    this.#watch = watchPolicyFiles(files, this.before ?? new Map(), () => this.changes++);
  }

  async seen(count: number): Promise<void> {
    for (const deadline = performance.now() + PATIENCE; this.changes < count;) {
      assert.ok(performance.now() < deadline, `${this.changes} changes instead of ${count}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await new Promise((resolve) => setTimeout(resolve, QUIET));
    assert.equal(this.changes, count);
  }

  [Symbol.dispose](): void {
    this.#watch?.close();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("a file written in several steps, or replaced, has changed once; others beside it have not", async () => {
  using watched = new Watched();
  Deno.writeTextFileSync(watched.policy, "one");
  watched.start();
  Deno.writeTextFileSync(watched.policy, "");
  Deno.writeTextFileSync(watched.policy, "two");
  await watched.seen(1);
  Deno.writeTextFileSync(`${watched.folder}/.policy.toml.swp`, "three");
  await watched.seen(1);
  Deno.renameSync(`${watched.folder}/.policy.toml.swp`, watched.policy);
  await watched.seen(2);
  Deno.readTextFileSync(watched.policy);
  await watched.seen(2);
});

Deno.test("what changed between its reading and the watch counts", async () => {
  using watched = new Watched();
  Deno.writeTextFileSync(watched.policy, "one");
  watched.before = fingerprints([watched.policy]);
  Deno.writeTextFileSync(watched.policy, "another");
  watched.start();
  await watched.seen(1);
});

Deno.test("a token file beside the policy counts as well", async () => {
  using watched = new Watched();
  Deno.writeTextFileSync(watched.policy, "one");
  watched.start(`${watched.folder}/laptop.token`);
  Deno.writeTextFileSync(`${watched.folder}/laptop.token`, "a token");
  await watched.seen(1);
});

Deno.test("a link is followed: its target may be written, or a link on the way exchanged", async () => {
  using watched = new Watched();
  for (const name of ["first", "second"]) {
    Deno.mkdirSync(`${watched.folder}/${name}`);
    Deno.writeTextFileSync(`${watched.folder}/${name}/policy.toml`, name);
  }
  // As a mounted ConfigMap does it.
  Deno.symlinkSync("first", `${watched.folder}/..data`);
  Deno.symlinkSync("..data/policy.toml", watched.policy);
  watched.start();
  Deno.writeTextFileSync(`${watched.folder}/first/policy.toml`, "edited in its own folder");
  await watched.seen(1);
  Deno.symlinkSync("second", `${watched.folder}/..new`);
  Deno.renameSync(`${watched.folder}/..new`, `${watched.folder}/..data`);
  await watched.seen(2);
});
