/** Numbers, times and names as pages show them. Pure: every function is told what time it is. */

/** Bytes with decimal units and three digits: `1.23 MB`. */
export function bytes(count: number): string {
  return `${scaled(count)}B`;
}

/** Bits per second from bytes per second, as networks are measured: `12.4 Mbit/s`. */
export function rate(bytesPerSecond: number): string {
  return `${scaled(bytesPerSecond * 8)}bit/s`;
}

function scaled(value: number): string {
  const units = ["", "k", "M", "G", "T", "P"];
  let rest = value, unit = 0;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit++;
  }
  const digits = unit === 0 || rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  return `${rest.toFixed(digits)} ${units[unit]}`;
}

/** A length of time in its two largest units: `3 d 4 h`, `2 min`, `12 s`. */
export function duration(seconds: number): string {
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const;
  let rest = Math.max(Math.floor(seconds), 0);
  const parts: string[] = [];
  for (const [name, length] of units) {
    const count = Math.floor(rest / length);
    rest %= length;
    if (count > 0) parts.push(`${count} ${name}`);
    // Nobody needs the seconds of an hour, nor the hours behind nothing.
    if (parts.length === 2 || (parts.length === 1 && (name === "min" || count === 0))) break;
  }
  return parts.length === 0 ? "0 s" : parts.join(" ");
}

/** `3 min ago`, `in 2 d`. */
export function relative(unixSeconds: number, unixNow: number): string {
  const ago = unixNow - unixSeconds;
  if (Math.abs(ago) < 2) return "just now";
  return ago > 0 ? `${duration(ago)} ago` : `in ${duration(-ago)}`;
}

/** `2025-07-24 09:00:05 UTC` */
export function utc(unixSeconds: number): string {
  return `${iso(unixSeconds).slice(0, 19).replace("T", " ")} UTC`;
}

/** 9999-12-31T23:59:59Z: beyond it years have another form, and dates end somewhere. */
const LAST_SECOND = 253_402_300_799;

/** `2025-07-24T09:00:05.000Z`; times that gateways state may be anything. */
export function iso(unixSeconds: number): string {
  return new Date(Math.min(Math.max(unixSeconds, 0), LAST_SECOND) * 1000).toISOString();
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

const MAX_SHOWN = 120;

/**
 * Text of a stranger (a device's name, a destination) as it may be shown: characters that show nothing, or that turn
 * the text around them, become visible; what is too long is cut.
 */
export function visible(text: string, limit = MAX_SHOWN): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "\u{FFFD}");
  const characters = [...plain.slice(0, 2 * limit + 1)];
  return characters.length <= limit ? plain : `${characters.slice(0, limit - 1).join("")}…`;
}
