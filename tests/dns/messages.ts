/** DNS messages for tests, written apart from the code under test. */
import { encodeName } from "../../mod/dns/mod.ts";

export const A = 1, NS = 2, CNAME = 5, SOA = 6, TXT = 16, AAAA = 28, SRV = 33, OPT = 41;

export interface TestRecord {
  readonly name: string;
  readonly type: number;
  readonly ttl?: number;
  readonly data: Uint8Array;
}

export interface TestMessage {
  readonly id?: number;
  readonly flags?: number;
  readonly name?: string;
  readonly type?: number;
  readonly answers?: readonly TestRecord[];
  readonly additional?: readonly TestRecord[];
}

export function queryBytes(message: TestMessage = {}): Uint8Array {
  return bytesOf({ flags: 0x0100, ...message });
}

/** An answer to `query`, which it repeats; flags default to QR, RD, RA. */
export function responseBytes(query: Uint8Array, message: TestMessage = {}): Uint8Array {
  const view = new DataView(query.buffer, query.byteOffset);
  let end = 12;
  while (query[end] !== 0) end += 1 + query[end]!;
  end += 5;
  const { flags = 0x8180, answers = [], additional = [] } = message;
  return concat(
    words(message.id ?? view.getUint16(0), flags, 1, answers.length, 0, additional.length),
    query.slice(12, end),
    ...[...answers, ...additional].map(recordBytes),
  );
}

export function aliasData(name: string): Uint8Array {
  return encodeName(name)!;
}

function bytesOf(message: TestMessage): Uint8Array {
  const { id = 0x1234, flags = 0, name = "app.example.com", type = A, answers = [], additional = [] } =
    message;
  return concat(
    words(id, flags, 1, answers.length, 0, additional.length),
    encodeName(name)!,
    words(type, 1),
    ...[...answers, ...additional].map(recordBytes),
  );
}

function recordBytes({ name, type, ttl = 60, data }: TestRecord): Uint8Array {
  return concat(encodeName(name)!, words(type, 1, ttl >>> 16, ttl & 0xffff, data.length), data);
}

function words(...values: number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [value >> 8, value & 255]));
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
