/**
 * Network namespaces as objects: build a small internet, run programs in its hosts, take it all down.
 *
 * ```ts
 * await using bed = new Testbed();
 * const [a, b] = [await bed.host("a"), await bed.host("b")];
 * await bed.link({ host: a, device: "eth0", addresses: ["10.0.0.1/24"] },
 *                { host: b, device: "eth0", addresses: ["10.0.0.2/24"] });
 * await a.run(["ping", "-c", "1", "10.0.0.2"]);
 * ```
 * Use it inside {@link runInSandbox}: then nothing can be left behind.
 */
import { BackgroundProcess, type ProcessOptions } from "./process.ts";

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  /** The command is killed after this time; its status is then 137. Default 30 s. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** One end of a cable. `addresses` are in prefix form: `10.0.0.1/24`, `fd00::1/64`. */
export interface CableEnd {
  readonly host: Host;
  readonly device: string;
  readonly addresses: readonly string[];
}

/** Runs a command to its end and returns what it wrote; throws only when it cannot be started. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    ...(options.env ? { env: options.env } : {}),
    stdin: options.input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 30_000);
  if (options.input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.input));
    await writer.close();
  }
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

/** As {@link run}, but a status other than 0 is an error that carries the output. Returns stdout. */
export async function check(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, options);
  if (code !== 0) {
    const said = (stderr + stdout).trimEnd();
    throw new Error(`\`${command.join(" ")}\` ended with status ${code}.${said ? `\n${said}` : ""}`);
  }
  return stdout;
}

/** A namespace with a loopback: a computer, a router or a NAT, depending on what is run in it. */
export class Host {
  constructor(readonly name: string, private readonly bed: Testbed) {}

  /** The command that runs `command` in this host. `ip netns exec` replaces itself, so signals reach it. */
  in(command: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.name, ...command];
  }

  run(command: readonly string[], options?: RunOptions): Promise<CommandResult> {
    return run(this.in(command), options);
  }

  check(command: readonly string[], options?: RunOptions): Promise<string> {
    return check(this.in(command), options);
  }

  /** Starts a program in the background; it ends with the testbed at the latest. */
  start(command: readonly string[], options: ProcessOptions = {}): BackgroundProcess {
    const process = new BackgroundProcess(this.in(command), { label: command[0]!, ...options });
    this.bed.own(process);
    return process;
  }

  /** Runs lines of `ip` commands in order: `await host.ip("link set eth0 down", "-6 route flush table 7")`. */
  async ip(...lines: string[]): Promise<void> {
    for (let start = 0, end = 0; start < lines.length; start = end) {
      const v6 = lines[start]!.startsWith("-6 ");
      while (end < lines.length && lines[end]!.startsWith("-6 ") === v6) end++;
      const batch = lines.slice(start, end).map((line) => line.replace(/^-6 /, "")).join("\n");
      await check(["ip", "-n", this.name, ...(v6 ? ["-6"] : []), "-batch", "-"], { input: `${batch}\n` });
    }
  }

  /** Loads an nftables ruleset. */
  async nft(ruleset: string): Promise<void> {
    await this.check(["nft", "-f", "-"], { input: ruleset });
  }

  /** Removes an `inet` table if it is there. */
  async dropTable(table: string): Promise<void> {
    await this.nft(`table inet ${table} {}\ndelete table inet ${table}\n`);
  }

  async sysctl(values: Readonly<Record<string, string | number>>): Promise<void> {
    await this.check(["sysctl", "-qw", ...Object.entries(values).map(([key, value]) => `${key}=${value}`)]);
  }
}

export class Testbed implements AsyncDisposable {
  readonly #hosts: Host[] = [];
  readonly #processes = new Set<BackgroundProcess>();

  /** Adds a host; `router` forwards packets of both families. */
  async host(name: string, options: { router?: boolean } = {}): Promise<Host> {
    await check(["ip", "netns", "add", name]);
    const host = new Host(name, this);
    this.#hosts.push(host);
    await host.ip("link set lo up");
    await host.sysctl({
      "net.ipv6.conf.all.accept_dad": 0,
      "net.ipv6.conf.default.accept_dad": 0,
      "net.ipv4.conf.all.rp_filter": 0,
      "net.ipv4.conf.default.rp_filter": 0,
      "net.ipv4.conf.all.send_redirects": 0,
      "net.ipv4.conf.default.send_redirects": 0,
      "net.ipv4.ping_group_range": "0 0",
      ...(options.router ? { "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1 } : {}),
    });
    return host;
  }

  /** A cable (veth pair) between two hosts, both ends up and addressed. */
  async link(a: CableEnd, b: CableEnd): Promise<void> {
    await check([
      ..."ip link add".split(" "),
      ...["name", a.device, "netns", a.host.name, "type", "veth"],
      ...["peer", "name", b.device, "netns", b.host.name],
    ]);
    for (const { host, device, addresses } of [a, b]) {
      await host.ip(
        ...addresses.map((address) =>
          `addr add ${address} dev ${device}${address.includes(":") ? " nodad" : ""}`
        ),
        `link set ${device} up`,
      );
    }
  }

  /** A switch inside `host`: device `name` with the given addresses; members are cables to other hosts. */
  async bridge(
    host: Host,
    name: string,
    addresses: readonly string[],
    members: readonly CableEnd[],
  ): Promise<void> {
    await host.ip(
      `link add ${name} type bridge`,
      ...addresses.map((address) =>
        `addr add ${address} dev ${name}${address.includes(":") ? " nodad" : ""}`
      ),
      `link set ${name} up`,
    );
    for (const [index, member] of members.entries()) {
      const port = `${name}-p${index}`;
      await this.link({ host, device: port, addresses: [] }, member);
      await host.ip(`link set ${port} master ${name}`);
    }
  }

  own(process: BackgroundProcess): void {
    this.#processes.add(process);
  }

  /** Ends every program, then removes every host. Never throws: it runs when something else already failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#processes].map((process) => process.stop()));
    await Promise.allSettled(this.#hosts.map((host) => run(["ip", "netns", "del", host.name])));
  }
}
