/** Options that `portal` and `up` have in common. */
import { CommandError, UsageError } from "./errors.ts";
import type { OptionTable, OptionValues } from "./options.ts";
import { parseListenAddress } from "./values.ts";
import type { PortalServiceOptions } from "./portal_service.ts";

export const PORTAL_OPTIONS = {
  listen: {
    flag: "listen",
    env: "POSTERN_LISTEN",
    kind: "text",
    value: "address",
    default: "127.0.0.1:8443",
    help: "Where devices connect to the portal.",
  },
  state: {
    flag: "state",
    env: "POSTERN_STATE",
    kind: "text",
    value: "file",
    help: "SQLite file for what must survive a restart (tunnel addresses, sessions); memory when absent.",
  },
  tlsCert: {
    flag: "tls-cert",
    env: "POSTERN_TLS_CERT",
    kind: "text",
    value: "file",
    help: "PEM certificate chain.",
  },
  tlsKey: { flag: "tls-key", env: "POSTERN_TLS_KEY", kind: "text", value: "file", help: "PEM private key." },
} as const satisfies OptionTable;

type PortalValues = OptionValues<typeof PORTAL_OPTIONS>;

export const POLICY_POSITIONAL = { name: "POLICY", help: "The policy file (TOML)." };

export function portalServiceOptions(
  values: Pick<PortalValues, "listen" | "state"> & Partial<Pick<PortalValues, "tlsCert" | "tlsKey">>,
  policy: string | undefined,
): PortalServiceOptions {
  if (policy === undefined) throw new UsageError("Name the policy file.");
  const { ip, port } = parseListenAddress(values.listen, "`--listen`");
  const tls = tlsFiles(values.tlsCert, values.tlsKey);
  return {
    policy,
    listen: { hostname: ip, port },
    relays: [],
    ...(values.state === undefined ? {} : { statePath: values.state }),
    ...(tls ? { tls } : {}),
  };
}

function tlsFiles(
  cert: string | undefined,
  key: string | undefined,
): { cert: string; key: string } | undefined {
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("`--tls-cert` and `--tls-key` are given together or not at all.");
  }
  if (cert === undefined || key === undefined) return undefined;
  return { cert: readPem(cert), key: readPem(key) };
}

function readPem(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new CommandError(`Cannot read ${path}. It must be a PEM file that this user may read.`, { cause });
  }
}
