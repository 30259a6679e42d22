/** Values that operators write in flags and variables, read strictly. */
import { formatIp, type IpFamily, parseIp, SocketAddress } from "../packet/address.ts";
import { UsageError } from "./errors.ts";

const SPELLINGS: readonly (readonly [milliseconds: number, ...names: string[]])[] = [
  [1, "ms", "msec", "millis"],
  [1000, "s", "sec", "secs", "second", "seconds"],
  [60_000, "m", "min", "mins", "minute", "minutes"],
  [3_600_000, "h", "hr", "hrs", "hour", "hours"],
  [86_400_000, "d", "day", "days"],
  [604_800_000, "w", "week", "weeks"],
];
const UNITS_MS = new Map(SPELLINGS.flatMap(([ms, ...names]) => names.map((name) => [name, ms] as const)));

/** Human durations as in `5m`, `1h`, `30d`, `1h 30m`, `2 hours`, in milliseconds. */
export function parseDuration(text: string, source: string): number {
  const parts = [...text.matchAll(/\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*/gy)];
  const length = parts.reduce((sum, part) => sum + part[0].length, 0);
  const total = parts.reduce((sum, part) => sum + Number(part[1]) * (UNITS_MS.get(part[2]!) ?? NaN), 0);
  if (length !== text.length || parts.length === 0 || !(total > 0)) {
    throw new UsageError(`${source} is \`${text}\`, which is no duration. Write it like 30s, 5m, 1h or 30d.`);
  }
  return total;
}

/** `0.0.0.0:8080` or `[::]:8080`. */
export function parseListenAddress(text: string, source: string): SocketAddress {
  const address = SocketAddress.parse(text);
  if (!address) {
    throw new UsageError(
      `${source} is \`${text}\`, which is no address with a port. Write it like 0.0.0.0:8080.`,
    );
  }
  return address;
}

export function parsePort(text: string, source: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) {
    throw new UsageError(`${source} is \`${text}\`, which is no port. It is 1 to 65535.`);
  }
  return port;
}

/** `49152-65535` */
export function parsePortRange(text: string, source: string): [lowest: number, highest: number] {
  const [lowest, highest, ...rest] = text.split("-").map((part) => parsePort(part, source));
  if (lowest === undefined || highest === undefined || rest.length > 0 || lowest > highest) {
    throw new UsageError(`${source} is \`${text}\`, which is no range of ports. Write it like 49152-65535.`);
  }
  return [lowest, highest];
}

/** An IP address of one family, in its canonical text. */
export function parseAddressOf(family: IpFamily, text: string, source: string): string {
  const bytes = parseIp(text);
  if (bytes?.length !== (family === 4 ? 4 : 16)) {
    throw new UsageError(`${source} is \`${text}\`, which is no IPv${family} address.`);
  }
  return formatIp(bytes);
}

/** `10.0.0.0/8,fd00::/8`; an empty text is an empty list. */
export function parseCidrs(text: string, source: string): string[] {
  const parts = text.split(",").map((part) => part.trim()).filter(Boolean);
  for (const part of parts) {
    const [address, length, ...rest] = part.split("/");
    const bits = (parseIp(address!)?.length ?? 0) * 8;
    const valid = bits > 0 && rest.length === 0 &&
      (length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= bits));
    if (!valid) {
      throw new UsageError(`${source} has \`${part}\`, which is no network. Write it like 10.0.0.0/8.`);
    }
  }
  return parts;
}
