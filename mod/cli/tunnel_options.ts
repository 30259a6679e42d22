/** Options that the gateway and the lab client have in common, with the names that Firezone's operators know. */
import type { OptionSpec, OptionTable, OptionValues } from "./options.ts";
import { parseDuration, parseListenAddress } from "./values.ts";
import { UsageError } from "./errors.ts";
import type { PortalIdentity, TunnelOptions } from "../runtime/mod.ts";
import { FIREWALL_MARK, type SystemFacts } from "../host/mod.ts";
import {
  CONNLIB_VERSION,
  type Dialect,
  formatUserAgent,
  parseOsRelease,
  parseUserAgent,
  proxyFor,
  splitApiUrl,
  type Variables,
} from "../portal/mod.ts";

/** 49152 + 3473, on both IP families. */
export const UDP_PORT = 52625;

export const LOG_OPTIONS = {
  logFormat: {
    flag: "log-format",
    env: "FIREZONE_LOG_FORMAT",
    kind: "text",
    value: "format",
    default: "human",
    choices: ["human", "json"],
    help: "How log lines look on stdout. RUST_LOG filters them (default: info).",
  },
} as const satisfies OptionTable;

/** The option for the health endpoint's listen address. */
export function healthOption<const Default extends string>(address: Default) {
  return {
    flag: "health-check-addr",
    env: "HEALTH_CHECK_ADDR",
    kind: "text",
    value: "address",
    default: address,
    help: "Where /healthz, /readyz and /metrics are served; `off` for nowhere.",
  } as const satisfies OptionSpec;
}

export const TUNNEL_OPTIONS = {
  apiUrl: {
    flag: "api-url",
    short: "u",
    env: "FIREZONE_API_URL",
    kind: "text",
    value: "url",
    default: "wss://api.firezone.dev",
    help: "The portal. HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are obeyed.",
  },
  name: {
    flag: "firezone-name",
    short: "n",
    env: "FIREZONE_NAME",
    kind: "text",
    value: "name",
    help: "Name shown in the portal; the hostname when absent.",
  },
  id: {
    flag: "firezone-id",
    short: "i",
    env: "FIREZONE_ID",
    kind: "text",
    value: "id",
    help:
      "Identity towards the portal; kept in /var/lib/firezone or derived from the machine-id when absent.",
  },
  maxPartitionTime: {
    flag: "max-partition-time",
    short: "m",
    env: "FIREZONE_MAX_PARTITION_TIME",
    kind: "text",
    value: "duration",
    default: "24h",
    help: "How long an unreachable portal is retried.",
  },
  crypto: {
    flag: "crypto",
    env: "POSTERN_CRYPTO",
    kind: "text",
    value: "name",
    help: "Force a cipher back end; the fastest one that passes its self-test when absent.",
  },
  extraCa: {
    flag: "extra-ca",
    env: "POSTERN_EXTRA_CA",
    kind: "text",
    value: "file",
    help: "PEM file with certificate authorities to trust besides the well-known ones.",
  },
  tokenInHeaderOnly: {
    flag: "token-in-header-only",
    env: "POSTERN_TOKEN_IN_HEADER_ONLY",
    kind: "switch",
    help:
      "Keep the token out of the URL and so out of proxies' logs; portals from before 2026 then refuse it.",
  },
  dialect: {
    flag: "dialect",
    env: "POSTERN_DIALECT",
    kind: "text",
    default: "v1",
    choices: ["v1", "v2"],
    help: "Which generation of the portal's protocol to speak.",
    hidden: true,
  },
  connlibVersion: {
    flag: "connlib-version",
    env: "POSTERN_CONNLIB_VERSION",
    kind: "text",
    value: "X.Y.Z",
    default: CONNLIB_VERSION,
    help:
      "Firezone version presented to the portal, which lets only clients of similar versions use a gateway.",
  },
  userAgent: {
    flag: "user-agent",
    env: "POSTERN_USER_AGENT",
    kind: "text",
    value: "text",
    help: "The whole user agent presented to the portal, with a word like connlib/1.5.0.",
    hidden: true,
  },
  noCheck: { flag: "no-check", kind: "switch", help: "Start without checking permissions first." },
  noIncreaseBuffers: {
    flag: "no-inc-buf",
    env: "FIREZONE_NO_INC_BUF",
    kind: "switch",
    help: "Leave the kernel's socket buffer limits as they are.",
  },
  tunName: { flag: "tun-name", kind: "text", default: "tun-firezone", help: "Interface name.", hidden: true },
  ...LOG_OPTIONS,
} as const satisfies OptionTable;

export type TunnelValues = OptionValues<typeof TUNNEL_OPTIONS>;

export function portalIdentity(
  values: TunnelValues,
  token: string,
  firezoneId: string,
  system: SystemFacts,
  readFile: (path: string) => string | undefined,
  environment?: Variables,
): PortalIdentity {
  const proxy = environment && proxyFor(splitApiUrl(values.apiUrl), environment);
  return {
    apiUrl: values.apiUrl,
    dialect: values.dialect as Dialect,
    token,
    tokenInQuery: !values.tokenInHeaderOnly,
    id: firezoneId,
    name: values.name ?? system.hostname,
    userAgent: userAgent(values, system),
    ...certificates(values.extraCa, readFile),
    ...(proxy && { proxy }),
    maxPartitionTime: parseDuration(values.maxPartitionTime, "`--max-partition-time`"),
  };
}

/** @throws UsageError for what portals would refuse, or what would crash their clients' sessions. */
export function userAgent(
  values: Pick<TunnelValues, "userAgent" | "connlibVersion">,
  system: SystemFacts,
): string {
  const given = values.userAgent;
  if (given !== undefined) {
    if (/^[\x20-\x7e]{1,255}$/.test(given) && parseUserAgent(given)?.version) return given;
    throw new UsageError(
      "`--user-agent` has no word like connlib/1.5.0, or characters beyond ASCII. Portals refuse it.",
    );
  }
  const { arch, kernel } = system;
  try {
    return formatUserAgent({
      ...parseOsRelease(system.osRelease),
      version: values.connlibVersion,
      arch,
      kernel,
    });
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`\`--connlib-version\`: ${error.message}`);
    throw error;
  }
}

export function certificates(
  path: string | undefined,
  readFile: (path: string) => string | undefined,
): { ca?: string } {
  if (path === undefined) return {};
  const ca = readFile(path);
  if (!ca?.includes("-----BEGIN CERTIFICATE-----")) {
    throw new UsageError(`\`--extra-ca\` is \`${path}\`, which is no readable PEM file with certificates.`);
  }
  return { ca };
}

export function tunnelOptions(values: TunnelValues): TunnelOptions {
  if (new TextEncoder().encode(values.tunName).length > 15 || /[/\s]/.test(values.tunName)) {
    throw new UsageError(
      `\`--tun-name\` is \`${values.tunName}\`; it has 1 to 15 characters, none of them a slash.`,
    );
  }
  return { tunName: values.tunName, port: UDP_PORT, mark: FIREWALL_MARK, crypto: values.crypto };
}

/** Listen address of the health endpoint; `off` means none. */
export function healthAddress(text: string): { ip: string; port: number } | undefined {
  return text === "off" ? undefined : parseListenAddress(text, "`--health-check-addr`");
}
