/** A portal on real sockets with a policy file and a state file of its own, and its control API. */
import type { Hono } from "hono";
import { controlRoutes } from "../../../../mod/embedded/portal/control/mod.ts";
import type { AccessLoss, PolicyChange } from "../../../../mod/embedded/portal/policy/diff.ts";
import { type PortalServer, startPortal } from "../../../../mod/embedded/portal/mod.ts";

export const POLICY = `
[[site]]
name = "home"
[[gateway]]
name = "cellar"
token = "gateway-token-0123456789"
[[client]]
name = "laptop"
token = "laptop-token-0123456789"
[[resource]]
name = "Intranet"
address = "10.20.0.0/16"
allow = ["laptop"]
`;

/** Fields of all answers that tests look into; each answer has some of them. */
export interface AnswerBody {
  readonly error: string;
  readonly problems: readonly string[];
  readonly changes: readonly PolicyChange[];
  readonly losses: readonly AccessLoss[];
  readonly values: Readonly<Record<string, string>>;
  readonly token: string;
  readonly id: string;
  readonly expiresAt: number;
  readonly replaced: readonly { readonly id: string }[];
  readonly revoked: readonly string[];
  readonly entries: Readonly<Record<string, number>>;
  readonly online: unknown;
  readonly devices: number;
  readonly suspended: string | undefined;
}

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

export interface PortalFixture extends AsyncDisposable {
  readonly folder: string;
  readonly policyPath: string;
  readonly server: PortalServer;
  readonly routes: Hono;
  /** What verbs did, for the log. */
  readonly changes: string[];
  call<T = AnswerBody>(method: string, path: string, body?: unknown): Promise<Answer<T>>;
  /** Ends the process' portal and starts another one on the same files. */
  restart(): Promise<void>;
}

export async function portalFixture(
  { policy = POLICY, state = true }: { policy?: string; state?: boolean } = {},
): Promise<PortalFixture> {
  const folder = Deno.makeTempDirSync();
  const policyPath = `${folder}/policy.toml`;
  Deno.writeTextFileSync(policyPath, policy);
  const changes: string[] = [];
  const start = async () => {
    const server = await startPortal({
      policy: policyPath,
      listen: { hostname: "127.0.0.1", port: 0 },
      relays: [],
      ...(state ? { statePath: `${folder}/state.db` } : {}),
    });
    const about = {
      version: "0",
      url: server.url,
      policyFile: policyPath,
      stateFile: undefined,
      startedAt: 0,
    };
    const routes = controlRoutes(server.administration, { about, onChange: (what) => changes.push(what) });
    return { server, routes };
  };
  let running = await start();
  return {
    folder,
    policyPath,
    changes,
    get server() {
      return running.server;
    },
    get routes() {
      return running.routes;
    },
    async call(method, path, body) {
      const init = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
      const response = await running.routes.request(path, { method, ...init });
      return { status: response.status, body: await response.json() };
    },
    async restart() {
      await running.server.stop();
      running = await start();
    },
    async [Symbol.asyncDispose]() {
      await running.server.stop();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}
