/**
 * DNS messages (RFC 1035 §4): what a forwarder and a stub resolver have to know of them, read strictly.
 *
 * Header (12 bytes): id · flags · QDCOUNT · ANCOUNT · NSCOUNT · ARCOUNT, big-endian. Then one question, then records.
 * Only the question and the answer section are read; what follows (authority, EDNS) is carried as bytes.
 * Nothing here throws: bytes that are no such message give undefined.
 */
import { encodeName, type KnownNames, readName } from "./name.ts";

export const HEADER_SIZE = 12;
export const TYPE_A = 1, TYPE_CNAME = 5, TYPE_PTR = 12, TYPE_TXT = 16, TYPE_AAAA = 28, TYPE_SRV = 33;
export const CLASS_IN = 1;
export const RCODE_OK = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3;
const FLAG_RESPONSE = 0x8000, FLAG_TRUNCATED = 0x0200, FLAG_RECURSION = 0x0100, FLAG_AVAILABLE = 0x0080;
const OPCODE = 0x7800, RCODE = 0x000f;
/** Compression pointer to the question's name. */
const QUESTION_NAME = [0xc0, HEADER_SIZE];

export interface Question {
  /** Lower case, no trailing dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface Query {
  readonly bytes: Uint8Array;
  readonly id: number;
  readonly question: Question;
  /** Offset behind the question. */
  readonly questionEnd: number;
}

export interface ResourceRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Seconds. */
  readonly ttl: number;
  readonly data: Uint8Array;
  /** The name that the data is; set for CNAME only. */
  readonly target?: string;
}

export interface Response {
  readonly bytes: Uint8Array;
  readonly id: number;
  readonly rcode: number;
  /** Cut by the server: the answer is to be had over TCP. */
  readonly truncated: boolean;
  readonly question: Question;
  readonly questionEnd: number;
  readonly answers: readonly ResourceRecord[];
}

/** A query with exactly one question; undefined for everything else (spec policy §5.2). */
export function parseQuery(bytes: Uint8Array): Query | undefined {
  const message = parseMessage(bytes);
  if (!message || message.flags & FLAG_RESPONSE) return undefined;
  const { id, question, questionEnd } = message;
  return { bytes, id, question, questionEnd };
}

/** A response with exactly one question and a readable answer section. */
export function parseResponse(bytes: Uint8Array): Response | undefined {
  const message = parseMessage(bytes);
  if (!message || !(message.flags & FLAG_RESPONSE)) return undefined;
  const { id, flags, question, questionEnd, answers } = message;
  const truncated = (flags & FLAG_TRUNCATED) !== 0;
  return { bytes, id, rcode: flags & RCODE, truncated, question, questionEnd, answers };
}

export function sameQuestion(a: Question, b: Question): boolean {
  return a.type === b.type && a.class === b.class && a.name === b.name;
}

/** The id of whatever this is; undefined when it is no DNS message at all or no response. */
export function responseId(bytes: Uint8Array): number | undefined {
  if (bytes.length < HEADER_SIZE || !(bytes[2]! & 0x80)) return undefined;
  return bytes[0]! << 8 | bytes[1]!;
}

/** A recursive query without EDNS. Undefined when `name` is none. */
export function encodeQuery(id: number, name: string, type: number): Uint8Array<ArrayBuffer> | undefined {
  const wireName = encodeName(name);
  if (!wireName) return undefined;
  const bytes = new Uint8Array(HEADER_SIZE + wireName.length + 4);
  writeHeader(bytes, id, FLAG_RECURSION, 1, 0);
  bytes.set(wireName, HEADER_SIZE);
  const view = new DataView(bytes.buffer, HEADER_SIZE + wireName.length);
  view.setUint16(0, type);
  view.setUint16(2, CLASS_IN);
  return bytes;
}

/** "The server failed": id, opcode, RD and question of the query, nothing else. */
export function servfail(query: Query): Uint8Array<ArrayBuffer> {
  return answer(query, [], RCODE_SERVFAIL, 0);
}

/** An answer of our own: records of the question's name and class. */
export function encodeAnswer(
  query: Query,
  records: readonly Pick<ResourceRecord, "type" | "ttl" | "data">[],
  rcode = RCODE_OK,
): Uint8Array<ArrayBuffer> {
  return answer(query, records, rcode, FLAG_AVAILABLE);
}

/** The response itself when it fits, otherwise its header with TC and its question, all other counts 0. */
export function truncate(response: Response, limit: number): Uint8Array {
  if (response.bytes.length <= limit) return response.bytes;
  const bytes = response.bytes.slice(0, response.questionEnd);
  const view = new DataView(bytes.buffer);
  writeHeader(bytes, response.id, view.getUint16(2) | FLAG_TRUNCATED, 1, 0);
  return bytes;
}

function answer(
  query: Query,
  records: readonly Pick<ResourceRecord, "type" | "ttl" | "data">[],
  rcode: number,
  flags: number,
): Uint8Array<ArrayBuffer> {
  const size = records.reduce((sum, { data }) => sum + 12 + data.length, query.questionEnd);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  bytes.set(query.bytes.subarray(0, query.questionEnd));
  const kept = view.getUint16(2) & (OPCODE | FLAG_RECURSION);
  writeHeader(bytes, query.id, FLAG_RESPONSE | kept | flags | rcode, 1, records.length);
  let at = query.questionEnd;
  for (const { type, ttl, data } of records) {
    bytes.set(QUESTION_NAME, at);
    view.setUint16(at + 2, type);
    view.setUint16(at + 4, query.question.class);
    view.setUint32(at + 6, ttl);
    view.setUint16(at + 10, data.length);
    bytes.set(data, at + 12);
    at += 12 + data.length;
  }
  return bytes;
}

function writeHeader(
  bytes: Uint8Array<ArrayBuffer>,
  id: number,
  flags: number,
  qd: number,
  an: number,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  [id, flags, qd, an, 0, 0].forEach((word, i) => view.setUint16(2 * i, word));
}

function parseMessage(bytes: Uint8Array) {
  if (bytes.length < HEADER_SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint16(4) !== 1) return undefined;
  const known: KnownNames = new Map();
  const name = readName(bytes, HEADER_SIZE, known);
  if (!name || name.end + 4 > bytes.length) return undefined;
  const question = { name: name.text, type: view.getUint16(name.end), class: view.getUint16(name.end + 2) };
  const questionEnd = name.end + 4;
  const answers: ResourceRecord[] = [];
  let at = questionEnd;
  for (let i = view.getUint16(6); i > 0; i--) {
    const owner = readName(bytes, at, known);
    if (!owner || owner.end + 10 > bytes.length) return undefined;
    const type = view.getUint16(owner.end), dataAt = owner.end + 10;
    const end = dataAt + view.getUint16(owner.end + 8);
    if (end > bytes.length) return undefined;
    const target = type === TYPE_CNAME ? readName(bytes, dataAt, known) : undefined;
    if (type === TYPE_CNAME && target?.end !== end) return undefined;
    const ttl = view.getUint32(owner.end + 4);
    answers.push({
      name: owner.text,
      type,
      class: view.getUint16(owner.end + 2),
      ttl: ttl > 0x7fffffff ? 0 : ttl, // RFC 2181 §8
      data: bytes.subarray(dataAt, end),
      ...(target && { target: target.text }),
    });
    at = end;
  }
  return { id: view.getUint16(0), flags: view.getUint16(2), question, questionEnd, answers };
}
