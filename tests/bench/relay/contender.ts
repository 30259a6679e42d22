/** A relay that the bench can load: Postern's, or coturn. Each runs in a process of its own, on the core it is given. */
import { relayCredentials } from "../../../mod/embedded/relay/mod.ts";
import { check, type Host } from "../../../mod/embedded/testbed/mod.ts";
import { posternCommand } from "../tunnel/postern.ts";

export interface RelayContender {
  /** Part of the figures' names. */
  readonly name: string;
  /** Starts it in `host` behind `prefix`, a command that runs another one; returns when it listens. */
  start(host: Host, prefix: readonly string[], ip: string, port: number): Promise<RunningRelay>;
}

export interface RunningRelay {
  readonly version: string;
  readonly pid: number;
  readonly username: string;
  readonly password: string;
}

const START_TIMEOUT_MS = 15_000;
const SECRET = "bench-relay-secret-0001";
/** Far in the future. */
const EXPIRES_AT = 2145916800;

export const postern: RelayContender = {
  name: "postern",
  async start(host, prefix, ip, port) {
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const secretFile = `${folder}/secret`;
    await Deno.writeTextFile(secretFile, SECRET);
    const relay = host.start([
      ...prefix,
      ...posternCommand(),
      ...["relay", "--secret-file", secretFile, "--public-ipv4", ip, "--relay-port", String(port)],
    ], { label: "postern relay", env: { RUST_LOG: "info" } });
    await relay.waitFor(/is listening/, START_TIMEOUT_MS);
    return {
      version: Deno.env.get("POSTERN_BIN") ?? `this tree, Deno ${Deno.version.deno}`,
      pid: relay.pid,
      ...relayCredentials({ publicKey: "bench", stampSecret: SECRET, expiresAt: EXPIRES_AT }),
    };
  },
};

export const coturn: RelayContender = {
  name: "coturn",
  async start(host, prefix, ip, port) {
    const folder = await Deno.makeTempDir({ dir: "/run" });
    const username = "bench", password = "bench-password";
    const server = host.start([
      ...prefix,
      "turnserver",
      "-n",
      `--listening-port=${port}`,
      `--listening-ip=${ip}`,
      `--relay-ip=${ip}`,
      "--min-port=49152",
      "--max-port=65535",
      "--realm=firezone",
      "--lt-cred-mech",
      `--user=${username}:${password}`,
      "--no-tls",
      "--no-dtls",
      "--no-tcp",
      "--no-tcp-relay",
      "--no-cli",
      "--no-rfc5780",
      "--no-stdout-log",
      "--simple-log",
      `--log-file=${folder}/turn.log`,
      `--pidfile=${folder}/turn.pid`,
      `--userdb=${folder}/turn.db`,
    ], { label: "coturn" });
    const listens = async () => (await host.check(["ss", "-Hlun", `sport = :${port}`])).trim() !== "";
    for (const deadline = performance.now() + START_TIMEOUT_MS; !await listens();) {
      if (performance.now() > deadline) throw new Error(`coturn does not listen.\n${server.tail()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const version = (await check(["turnserver", "--version"])).trim().split("\n").at(-1);
    return { version: `coturn ${version}`, pid: server.pid, username, password };
  },
};
