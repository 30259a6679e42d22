/** Values that operators write in flags and variables, read strictly. */
import { SocketAddress } from "../packet/address.ts";
import { UsageError } from "./errors.ts";

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Human durations as in `5m`, `1h`, `30d`, `1h 30m`, in milliseconds. */
export function parseDuration(text: string, source: string): number {
  const parts = [...text.matchAll(/\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*/gy)];
  const length = parts.reduce((sum, part) => sum + part[0].length, 0);
  const total = parts.reduce((sum, part) => sum + Number(part[1]) * (UNITS_MS[part[2]!] ?? NaN), 0);
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
