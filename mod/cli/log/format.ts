/** Log lines: the human one that Firezone's operators grep, and one JSON object per line. */
import type { LogRecord } from "@logtape/logtape";
import type { Level } from "./filter.ts";

const COLORS: Readonly<Record<Level, string>> = {
  trace: "\x1b[35m",
  debug: "\x1b[34m",
  info: "\x1b[32m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
  off: "",
};
const DIM = "\x1b[2m", RESET = "\x1b[0m";

export function levelOf(record: LogRecord): Level {
  if (record.level === "warning") return "warn";
  return record.level === "fatal" ? "error" : record.level;
}

/** `postern::portal`: the category without the project's own name, which every line would carry. */
export function targetOf(record: LogRecord): string {
  const path = record.category[0] === "postern" ? record.category.slice(1) : record.category;
  return path.join("::") || "postern";
}

/** `2026-01-01T00:00:00.000Z  INFO portal: Connected to portal backoff=3` */
export function formatHuman(record: LogRecord, colors: boolean): string {
  const level = levelOf(record);
  const time = new Date(record.timestamp).toISOString();
  const name = level.toUpperCase().padStart(5);
  const fields = fieldsOf(record).map(([key, value]) => ` ${key}=${inline(value)}`).join("");
  const text = `${oneLine(messageOf(record))}${fields}`;
  return colors
    ? `${DIM}${time}${RESET} ${COLORS[level]}${name}${RESET} ${DIM}${targetOf(record)}:${RESET} ${text}\n`
    : `${time} ${name} ${targetOf(record)}: ${text}\n`;
}

/** One object, the fields flattened into it; the four standard keys cannot be replaced by a field. */
export function formatJson(record: LogRecord): string {
  const fields = fieldsOf(record).map(([key, value]) => [key, plain(value)]);
  return JSON.stringify({
    ...Object.fromEntries(fields),
    timestamp: new Date(record.timestamp).toISOString(),
    level: levelOf(record).toUpperCase(),
    target: targetOf(record),
    message: messageOf(record),
  }) + "\n";
}

function messageOf(record: LogRecord): string {
  return record.message.map((part, i) => i % 2 === 0 ? String(part) : String(plain(part))).join("");
}

/** Properties that the message does not already show through its placeholders. */
function fieldsOf(record: LogRecord): [string, unknown][] {
  const template = typeof record.rawMessage === "string" ? record.rawMessage : "";
  return Object.entries(record.properties).filter(([key, value]) =>
    value !== undefined && !template.includes(`{${key}}`)
  );
}

function plain(value: unknown): unknown {
  if (value instanceof Error) return value.message;
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return Object.getPrototypeOf(value) === Object.prototype ? value : String(value);
  }
  return value;
}

function inline(value: unknown): string {
  const text = plain(value);
  return oneLine(typeof text === "string" ? text : JSON.stringify(text) ?? "undefined");
}

/** Peers and portals choose parts of what is logged: no line of theirs may look like one of ours. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex -- exactly these are meant
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, (c) => JSON.stringify(c).slice(1, -1));
}
