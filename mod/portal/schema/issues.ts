/**
 * Decoding with names for what is wrong. A payload that can't be understood yields a {@link MessageError} with the
 * path of the culprit; items that may be left out (a candidate, a relay) are skipped one by one and reported.
 * Reasons never quote values of the payload except tags, since payloads hold keys and passwords.
 */
import * as v from "valibot";
import { printable } from "../frame.ts";

export class MessageError extends Error {
  override readonly name = "MessageError";

  constructor(
    /** Event name on the wire. */
    readonly event: string,
    /** `client.public_key`, `relays.1.addr`; empty for the payload itself. */
    readonly path: string,
    readonly reason: string,
  ) {
    super(`Cannot read ${printable(event, 64)}${path && ` at ${path}`}: ${reason}.`);
  }
}

/** Either `value` or `error` is set; `skipped` names the items that were left out. */
export interface Decoded<T> {
  readonly value?: T;
  readonly error?: MessageError;
  readonly skipped: readonly MessageError[];
}

type Schema = v.GenericSchema<unknown, unknown>;

/** One decoding run over one payload. */
export class Reader {
  readonly skipped: MessageError[] = [];

  constructor(readonly event: string) {}

  /** @throws MessageError inside a run only; {@link decode} is the boundary. */
  read<S extends Schema>(schema: S, value: unknown, path = ""): v.InferOutput<S> {
    const result = v.safeParse(schema, value, { abortEarly: true });
    if (result.success) return result.output;
    const issue = result.issues[0];
    const inner = v.getDotPath(issue) ?? "";
    const at = [path, inner].filter((part) => part !== "").join(".");
    throw new MessageError(this.event, at, describe(issue, inner));
  }

  /** Reads each item on its own; those that don't fit are skipped and reported. */
  readEach<S extends Schema>(schema: S, items: readonly unknown[], path: string): v.InferOutput<S>[] {
    return items.flatMap((item, index) => {
      const value = this.readOptional(schema, item, `${path}.${index}`);
      return value === undefined ? [] : [value];
    });
  }

  /** Reads what may be left out: undefined (and reported) when it doesn't fit. */
  readOptional<S extends Schema>(schema: S, value: unknown, path: string): v.InferOutput<S> | undefined {
    try {
      return this.read(schema, value, path);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.skipped.push(error);
      return undefined;
    }
  }

  /** Reports something that is left out. */
  skip(path: string, reason: string): void {
    this.skipped.push(new MessageError(this.event, path, reason));
  }

  fail(path: string, reason: string): never {
    throw new MessageError(this.event, path, reason);
  }
}

/** Runs `read` and turns its {@link MessageError} into a value. */
export function decode<T>(event: string, read: (reader: Reader) => T): Decoded<T> {
  const reader = new Reader(event);
  try {
    return { value: read(reader), skipped: reader.skipped };
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
    return { error, skipped: reader.skipped };
  }
}

function describe(issue: v.BaseIssue<unknown>, path: string): string {
  if (issue.kind !== "schema") return issue.message;
  const tag = /(^|\.)(type|protocol)$/.test(path) ? ` instead of ${printable(issue.received, 40)}` : "";
  return issue.received === "undefined"
    ? "it is missing"
    : `${issue.expected ?? "another type"} expected${tag}`;
}
