/** Options that `portal` and `up` have in common. */
import { UsageError } from "./errors.ts";
import type { OptionTable, OptionValues } from "./options.ts";
import { parseCidrs, parseListenAddress } from "./values.ts";
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
    help: "PEM certificate chain; read again when it changes, and on SIGHUP.",
  },
  tlsKey: { flag: "tls-key", env: "POSTERN_TLS_KEY", kind: "text", value: "file", help: "PEM private key." },
  trustedProxy: {
    flag: "trusted-proxy",
    env: "POSTERN_TRUSTED_PROXY",
    kind: "text",
    value: "networks",
    help: "Reverse proxies whose X-Forwarded-* headers count, like 127.0.0.1,10.0.0.0/8.",
  },
  basePath: {
    flag: "base-path",
    env: "POSTERN_BASE_PATH",
    kind: "text",
    value: "path",
    help: "Where the portal's paths begin, like /vpn, when it shares a host.",
  },
} as const satisfies OptionTable;

type PortalValues = OptionValues<typeof PORTAL_OPTIONS>;

export const POLICY_POSITIONAL = { name: "POLICY", help: "The policy file (TOML)." };

export function portalServiceOptions(
  values: PortalValues,
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
    trustedProxies: parseCidrs(values.trustedProxy ?? "", "`--trusted-proxy`"),
    basePath: basePath(values.basePath ?? ""),
  };
}

function basePath(text: string): string {
  const path = text.replace(/\/+$/, "");
  if (/^(\/[A-Za-z0-9._~-]+)*$/.test(path)) return path;
  throw new UsageError(`\`--base-path\` is \`${text}\`, which is no path. Write it like /vpn.`);
}

function tlsFiles(
  certFile: string | undefined,
  keyFile: string | undefined,
): { certFile: string; keyFile: string } | undefined {
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new UsageError("`--tls-cert` and `--tls-key` are given together or not at all.");
  }
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile };
}
