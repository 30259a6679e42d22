/**
 * User agents: `{os}/{version} {component}/{version} ({arch}; {kernel})`. Older portals refuse every component but
 * `connlib`, newer ones read the word as well, so this is what a gateway presents to both. Portals compare the
 * version with that of clients: it has to be three plain numbers.
 */

export interface UserAgent {
  /** Name of the distribution; may contain spaces (`Alpine Linux`). */
  readonly system: string;
  readonly systemVersion: string;
  /** Default: `connlib`. */
  readonly component?: "connlib" | "relay";
  /** `1.5.0`: which generation of gateways this one behaves like. */
  readonly version: string;
  readonly arch?: string;
  /** `uname -r` */
  readonly kernel?: string;
}

/** The version of the protocol that this implementation claims by default. */
export const CONNLIB_VERSION = "1.5.0";
/** The only version that Firezone's relays ever had. */
export const RELAY_VERSION = "0.1.0";

/** @throws RangeError when the version is not `X.Y.Z` (portals would crash their clients' sessions on it). */
export function formatUserAgent(agent: UserAgent): string {
  if (!/^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/.test(agent.version)) {
    throw new RangeError(
      `Cannot present version "${agent.version}": it is not X.Y.Z. Use three plain numbers.`,
    );
  }
  const details = [agent.arch, agent.kernel].filter((part) => part !== undefined && part !== "").join("; ");
  const program = `${agent.component ?? "connlib"}/${agent.version}`;
  const text = `${agent.system}/${agent.systemVersion} ${program}${details && ` (${details})`}`;
  return text.replace(/[^\x20-\x7e]/g, "");
}

export type Component =
  | "connlib"
  | "gateway"
  | "headless-client"
  | "gui-client"
  | "apple-client"
  | "android-client"
  | "relay";

const COMPONENT =
  /(?:^| )(connlib|gateway|headless-client|gui-client|apple-client|android-client|relay)\/([^ ]+)/;

/** The first word that names a component. `version` is undefined unless it begins with three plain numbers. */
export function parseUserAgent(
  text: string,
): { component: Component; version: readonly [number, number, number] | undefined } | undefined {
  const match = COMPONENT.exec(text);
  if (!match) return undefined;
  const numbers = /^(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:[-+].*)?$/.exec(match[2]!);
  const version = numbers && [Number(numbers[1]), Number(numbers[2]), Number(numbers[3])] as const;
  return { component: match[1] as Component, version: version ?? undefined };
}

/** Name and version of the system from the text of `/etc/os-release`. */
export function parseOsRelease(text: string): { system: string; systemVersion: string } {
  const field = (name: string) =>
    new RegExp(`^${name}=(?:"([^"]*)"|'([^']*)'|(\\S*))`, "m").exec(text)?.slice(1).find((s) =>
      s !== undefined
    );
  const system = (field("NAME") ?? "Linux").replace(/ GNU\/Linux$/, "").replaceAll("/", "-");
  return { system: system || "Linux", systemVersion: field("VERSION_ID") || "0" };
}
