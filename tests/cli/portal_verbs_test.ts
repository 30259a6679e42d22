import assert from "node:assert/strict";
import { portal } from "../../mod/cli/commands/portal/mod.ts";
import { CommandError } from "../../mod/cli/errors.ts";
import { run } from "../../mod/embedded/testbed/mod.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const PATIENCE = 20_000;
const POLICY = `
[[site]]
name = "home"
[[client]]
name = "laptop"
token_file = "laptop.token"
[[resource]]
name = "Intranet"
address = "10.20.0.0/16"
allow = ["laptop"]
`;

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running portal with files of its own, and its command line. */
class Household implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync();
  readonly policy = `${this.folder}/policy.toml`;
  readonly state = `${this.folder}/state.db`;
  #process: Deno.ChildProcess | undefined;
  #log = "";

  constructor() {
    Deno.writeTextFileSync(this.policy, POLICY);
  }

  /** What the portal has logged so far. */
  get log(): string {
    return this.#log;
  }

  async start(state = this.state): Promise<void> {
    this.#log = "";
    const options = ["--listen", "127.0.0.1:0", "--state", state];
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", MAIN, "portal", ...options, this.policy],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    (async () => {
      for await (const text of this.#process!.stdout.pipeThrough(new TextDecoderStream())) this.#log += text;
    })();
    await this.logged(/Portal is listening/);
  }

  /** Waits for a line in the log. */
  async logged(pattern: RegExp): Promise<void> {
    for (const deadline = performance.now() + PATIENCE; !pattern.test(this.#log);) {
      assert.ok(performance.now() < deadline, `${pattern} is not in:\n${this.#log}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  hangUp(): void {
    this.#process!.kill("SIGHUP");
  }

  async kill(): Promise<void> {
    this.#process!.kill("SIGKILL");
    await this.#process!.status;
  }

  /** `postern portal …`; the input goes to stdin. */
  async portal(args: readonly string[], input?: string): Promise<Said> {
    const env = { NO_COLOR: "1", POSTERN_STATE: this.state, POSTERN_CONTROL: "" };
    const command = [Deno.execPath(), "run", "-A", "--no-check", MAIN, "portal", ...args];
    if (input === undefined) {
      const { code, stdout, stderr } = await run(command, { env });
      return { code, stdout: stdout.trim(), stderr: stderr.trim() };
    }
    const child = new Deno.Command(command[0]!, {
      args: command.slice(1),
      env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    return { code, stdout: text(stdout), stderr: text(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.status;
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("portal check: status 0 and a summary, or status 1 and each mistake on a line; no file is made", async () => {
  await using home = new Household();
  const good = await home.portal(["check", home.policy]);
  assert.deepEqual([good.code, good.stdout], [0, `${home.policy} is fine: 1 site, 1 client, 1 resource.`]);
  assert.deepEqual([...Deno.readDirSync(home.folder)].map(({ name }) => name), ["policy.toml"]);
  Deno.writeTextFileSync(
    home.policy,
    POLICY.replace("10.20.0.0/16", "10.20.0.0/160").replace("[[site]]", "[[sight]]"),
  );
  const bad = await home.portal(["check", home.policy]);
  assert.deepEqual([bad.code, bad.stdout], [1, ""]);
  assert.equal(bad.stderr, `${home.policy}:2: sight: unknown key`);
  const json = await home.portal(["check", "--json", home.policy]);
  assert.equal(json.code, 1);
  assert.deepEqual(JSON.parse(json.stdout), {
    problems: [{ line: 2, key: "sight", message: "unknown key" }],
  });
});

Deno.test("a verb without a running portal says where it looked and what to do", async () => {
  await using home = new Household();
  const { code, stderr } = await home.portal(["client", "add", "tablet"]);
  assert.equal(code, 1);
  assert.equal(
    stderr,
    `postern portal: Cannot add client "tablet": no portal answers at ${home.state}.sock. ` +
      "Start it, or name its socket with --control.",
  );
});

Deno.test("no verb works without a running portal, and each says so", async () => {
  await using home = new Household();
  const help: string[] = [];
  const log = console.log;
  console.log = (text: string) => void help.push(text);
  await portal.run(["--help"], () => undefined).finally(() => console.log = log);
  const verbs = [...help.join("\n").split("Verbs,")[1]!.matchAll(/^ {2}([a-z-]+)(?: ([a-z]+))? {2,}/gm)]
    .map(([, first, second]) => second === undefined ? [first!] : [first!, second])
    .filter(([first]) => first !== "check" && first !== "hash-password");
  assert.ok(verbs.length > 40);
  const control = `${home.folder}/none.sock`;
  for (const words of verbs) {
    const bare = ["list", "status", "reload"].includes(words.at(-1)!);
    const subject = bare ? [] : [words[0] === "diff" ? home.policy : "x"];
    await assert.rejects(
      portal.run([...words, ...subject, "--control", control], () => undefined),
      (error) => {
        assert.ok(error instanceof CommandError, words.join(" "));
        const end = `no portal answers at ${control}. Start it, or name its socket with --control.`;
        assert.match(error.message, /^Cannot [^:]+: /);
        assert.ok(error.message.endsWith(end), error.message);
        return true;
      },
    );
  }
});

Deno.test("verbs that are none are usage errors that name what there is", async () => {
  await using home = new Household();
  const cases: [args: string[], stderr: RegExp][] = [
    [["client"], /Say what to do with client: add, set, remove, list, show\./],
    [["client", "ad"], /There is no `client ad`, only add, set, remove, list, show\./],
    [["client", "add"], /client add: NAME is missing\./],
    [["client", "add", "x", "--adress", "1"], /Unknown option `--adress`/],
    [["policy", "set", "x", "--unset", "color"], /only these can be: resource, allow, remote-ip-in/],
    [["token", "create", "x", "--expires", "soon"], /`--expires` is `soon`, which is no duration/],
  ];
  for (const [args, stderr] of cases) {
    const said = await home.portal(args);
    assert.equal(said.code, 2, args.join(" "));
    assert.match(said.stderr, stderr);
  }
});

Deno.test("objects by verbs: a table for people, JSON for programs, a token that is shown once", async () => {
  await using home = new Household();
  await home.start();
  const added = await home.portal(["client", "add", "tablet", "--groups", "kids,family"]);
  assert.match(added.stdout, /^\+ client "tablet": groups: kids, family\n[\w-]{43}$/);
  const token = added.stdout.split("\n")[1]!;
  await home.portal([
    "resource",
    "add",
    "Printer",
    "--address",
    "10.30.0.9",
    "--allow",
    "kids",
    "--filters",
    "tcp/631",
  ]);
  assert.equal(
    (await home.portal(["client", "list"])).stdout,
    [
      "NAME    GROUPS        TOKEN  MADE BY",
      "laptop                (set)  file",
      "tablet  kids, family         verb",
    ].join("\n"),
  );
  const listed = JSON.parse((await home.portal(["resource", "list", "--json"])).stdout);
  assert.deepEqual(listed.map((one: { name: string }) => one.name), ["Intranet", "Printer"]);
  const changed = await home.portal([
    "resource",
    "set",
    "Printer",
    "--allow",
    "laptop",
    "--unset",
    "filters",
  ]);
  assert.match(changed.stdout, /allow: kids → laptop; filters: tcp\/631 → none\n! "tablet" loses Printer/);
  // The file may name what a verb made: only the running portal knows.
  Deno.writeTextFileSync(`${home.folder}/new.toml`, POLICY.replace('allow = ["laptop"]', 'allow = ["kids"]'));
  const compared = await home.portal(["diff", `${home.folder}/new.toml`]);
  assert.equal(compared.stdout, '~ resource "Intranet": allow: laptop → kids\n! "laptop" loses Intranet');
  const refused = await home.portal(["resource", "set", "Printer", "--allow", "nobody"]);
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    /resource "Printer" \(made by a verb\): allow: no client, user or group is called "nobody"/,
  );
  const tokens = await home.portal(["token", "list"]);
  assert.match(tokens.stdout, /^ID +ROLE +OF +MADE \(UTC\) +EXPIRES\n[\w-]{36} +client +tablet .* never$/);
  await home.logged(/Added client "tablet", asked by a verb/);
  assert.ok(!home.log.includes(token));
  const status = await home.portal(["status"]);
  assert.match(status.stdout, /^state +serving\n/);
  assert.match(status.stdout, /policy +1 site, 2 clients, 2 resources/);
});

Deno.test("users by verbs: the password comes by stdin and is kept as a hash, one-time passwords as a URI", async () => {
  await using home = new Household();
  await home.start();
  const short = await home.portal(["user", "add", "jane"], "short\n");
  assert.match(short.stderr, /Cannot take the password: it needs 8 to 1024 characters/);
  const added = await home.portal(["user", "add", "jane", "--groups", "staff"], "correct horse\n");
  assert.equal(added.code, 0);
  assert.match((await home.portal(["user", "show", "jane"])).stdout, /password +\(set\)/);
  const totp = await home.portal(["user", "totp", "jane"]);
  assert.match(totp.stdout, /^otpauth:\/\/totp\/Postern%3Ajane\?secret=[A-Z2-7]{32}&issuer=Postern$/);
  assert.equal((await home.portal(["user", "password", "jane"], "battery staple\n")).code, 0);
  const hash = await home.portal(["hash-password"], "correct horse\n");
  assert.match(hash.stdout, /^\$scrypt\$ln=/);
});

Deno.test("a changed file is in force within a second, with the difference in the log; a broken one never", async () => {
  await using home = new Household();
  await home.start();
  // As editors do it: a new file takes the old one's place.
  const save = (text: string) => {
    Deno.writeTextFileSync(`${home.folder}/.policy.toml.swp`, text);
    Deno.renameSync(`${home.folder}/.policy.toml.swp`, home.policy);
  };
  const started = performance.now();
  save(POLICY.replace("10.20.0.0/16", "10.21.0.0/16"));
  await home.logged(/~ resource "Intranet": address: 10\.20\.0\.0\/16 → 10\.21\.0\.0\/16/);
  assert.ok(performance.now() - started < 5_000);
  save(POLICY.replace("laptop.token", "other.token"));
  await home.logged(/~ client "laptop": token changed/);
  Deno.writeTextFileSync(`${home.folder}/other.token`, "a-token-of-another-kind-0123\n");
  await home.logged(/(token changed[^]*){2}/);
  save(POLICY.replace('allow = ["laptop"]', 'allow = ["lptop"]'));
  await home.logged(
    /ERROR .*policy\.toml:10: resource\[1\]\.allow: no client, user or group is called "lptop"/,
  );
  await home.logged(/The old policy stays in force/);
  const differs = await home.portal(["diff", home.policy]);
  assert.deepEqual([differs.code, /resource\[1\]\.allow/.test(differs.stderr)], [1, true]);
  const refused = await home.portal(["reload"]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /nothing was changed:\n.*policy\.toml:10: resource\[1\]\.allow/);
  save(POLICY.replace('allow = ["laptop"]', "allow = []"));
  await home.logged(/! "laptop" loses Intranet/);
  Deno.writeTextFileSync(`${home.folder}/laptop.token`, "yet-another-token-0123456789\n");
  home.hangUp();
  await home.logged(/(token changed[^]*){3}/);
});

Deno.test("a second portal on the same state is refused, and a killed one's socket is no obstacle", async () => {
  await using home = new Household();
  await home.start();
  const second = await home.portal(["--listen", "127.0.0.1:0", home.policy]);
  assert.equal(second.code, 1);
  assert.match(second.stdout, /another process has it open\. Stop the other portal, or name another file/);
  await home.kill();
  await home.start();
  assert.equal((await home.portal(["status"])).code, 0);
});

Deno.test("a control socket that was asked for must be there; beside a state file in too deep a folder it may be missing", async () => {
  await using home = new Household();
  const asked = await home.portal([
    "--listen",
    "127.0.0.1:0",
    "--control",
    `${home.folder}/none/x.sock`,
    home.policy,
  ]);
  assert.equal(asked.code, 1);
  assert.match(asked.stdout, /Failed to start portal: Cannot open the control socket .*none\/x\.sock/);
  const deep = `${home.folder}/${"x".repeat(120)}`;
  Deno.mkdirSync(deep);
  await home.start(`${deep}/state.db`);
  assert.match(home.log, /WARN portal: Verbs are not served .*longer than 107 bytes/);
});
