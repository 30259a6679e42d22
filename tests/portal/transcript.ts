/**
 * Recorded conversations between devices and a portal, as text that reads like a protocol trace and is replayed as a
 * test, against either side: a device (its frames are →) or a portal (its frames are ←).
 *
 *     # A gateway's first login.
 *     dialects v1 v2                      one test per dialect (this is the default)
 *     heartbeats answered                 heartbeats are answered and not listed
 *     let $ME = {"ipv4":"100.64.7.9","ipv6":"fd00:2021:1111::709"}
 *
 *     * dial
 *     ! open
 *     → 0 gateway:phx_join null
 *     ← ok 0
 *     * joined
 *     ← · gateway:init {"interface":$ME, …}
 *     @ 10s
 *     → 1 phoenix:heartbeat {}
 *     + 500ms
 *     ← · gateway:authorize_flow|create_authorization {"ref":$ref, …}
 *
 * - `→ REF TOPIC:EVENT JSON` is a frame from a device to the portal, `←` one from the portal; REF is a number, `·` for
 *   null, `…` for any, or a variable. `A|B` names an event in dialect v1 and in v2. `← ok N` and `← error N REASON`
 *   answer the frame with that ref.
 * - `! WORDS` happens to the side under test and is no frame; `* WORDS` is something that it does and is no frame.
 *   Which words there are, the side's replayer says. In `*` lines `…` stands for any text.
 * - `@ TIME` goes to that time since the start, `+ TIME` that much further (`1h 30m`, `500ms`). Everything that the
 *   side under test says or does must be listed, in order, at exactly the time at which it happens.
 * - A name before the sign (`laptop → 0 …`) tells several devices apart; the order holds for each of them.
 * - In JSON, `$NAME` stands for a value: from `let`, from the replayer, or, first seen in a frame of the side under
 *   test, whatever is there. A bare `…` is any value; at the end of an object any further keys, of a list any further
 *   items. An indented line continues the one before it. `#` at the start of a line begins a comment.
 */
import assert from "node:assert/strict";
import type { Dialect } from "../../mod/portal/login_url.ts";
import { type Bindings, matches, readPattern, substitute } from "./json_pattern.ts";

export interface WireFrame {
  readonly topic: string;
  readonly event: string;
  readonly payload: unknown;
  readonly ref: number | null;
}

/** What the side under test said or did, and when (milliseconds since the start). */
export type Observation =
  & { readonly at: number; readonly who: string }
  & ({ readonly frame: WireFrame } | { readonly note: string });

/** The side under test, on a virtual clock that starts at 0. */
export interface Subject {
  /** The sign of its own frames: → of a device, ← of a portal. */
  readonly speaks: "→" | "←";
  /** Values that transcripts may use. */
  readonly bindings?: Bindings;
  hear(who: string, frame: WireFrame): void;
  /** A `!` line. @throws Error when it doesn't know the words. */
  act(who: string, words: string): void;
  /** Lets time pass; what is due on the way happens at its time. */
  advanceTo(time: number): void;
  /** What it has said and done since the last call, in order. */
  observe(): Observation[];
}

export interface Transcript {
  readonly name: string;
  readonly dialects: readonly Dialect[];
  readonly answersHeartbeats: boolean;
  /** Patterns: they may refer to other values. */
  readonly constants: Bindings;
  readonly statements: readonly Statement[];
}

interface Statement {
  readonly line: number;
  readonly who: string;
  readonly sign: "→" | "←" | "!" | "*" | "@" | "+";
  readonly words: string;
}

/**
 * Registers one test per transcript and dialect.
 * @param texts by name: `import text from "./x.txt" with { type: "text" }`, which needs no permission.
 */
export function testTranscripts(
  texts: Readonly<Record<string, string>>,
  open: (dialect: Dialect, transcript: Transcript) => Subject,
): void {
  for (const [name, text] of Object.entries(texts)) {
    const transcript = parseTranscript(text, name);
    for (const dialect of transcript.dialects) {
      Deno.test(`conversation: ${name} (${dialect})`, () => {
        replay(transcript, dialect, open(dialect, transcript));
      });
    }
  }
}

/** @throws Error with name and line when the text is no transcript. */
export function parseTranscript(text: string, name: string): Transcript {
  let dialects: readonly Dialect[] = ["v1", "v2"], answersHeartbeats = false;
  const constants: Record<string, unknown> = {};
  const statements: Statement[] = [];
  for (const { line, content } of logicalLines(text)) {
    const fail = (why: string): never => assert.fail(`${name}:${line}: ${why}: ${content}`);
    const definition = /^let \$(\w+) = (.*)$/.exec(content);
    const statement = /^(?:([\w-]+) +)?([→←!*@+]) +(.*)$/.exec(content);
    if (content === "heartbeats answered") answersHeartbeats = true;
    else if (content.startsWith("dialects ")) dialects = content.split(/ +/).slice(1) as Dialect[];
    else if (definition) constants[definition[1]!] = readPattern(definition[2]!);
    else if (statement) {
      const [, who = "", sign, words] = statement;
      statements.push({ line, who, sign: sign as Statement["sign"], words: words! });
    } else fail("no such statement");
  }
  return { name, dialects, answersHeartbeats, constants, statements };
}

function logicalLines(text: string): { line: number; content: string }[] {
  const lines: { line: number; content: string }[] = [];
  text.split("\n").forEach((raw, index) => {
    if (raw.trim() === "" || raw.startsWith("#")) return;
    if (/^\s/.test(raw) && lines.length > 0) lines.at(-1)!.content += ` ${raw.trim()}`;
    else lines.push({ line: index + 1, content: raw.trim() });
  });
  return lines;
}

export function replay(transcript: Transcript, dialect: Dialect, subject: Subject): void {
  new Replay(transcript, dialect, subject).run();
}

class Replay {
  readonly #transcript: Transcript;
  readonly #dialect: Dialect;
  readonly #subject: Subject;
  readonly #bindings: Record<string, unknown>;
  /** Topics of frames that may be answered, by device and ref. */
  readonly #topics = new Map<string, string>();
  #pending: Observation[] = [];
  #now = 0;

  constructor(transcript: Transcript, dialect: Dialect, subject: Subject) {
    this.#transcript = transcript;
    this.#dialect = dialect;
    this.#subject = subject;
    this.#bindings = { ...subject.bindings, ...transcript.constants };
  }

  run(): void {
    for (const statement of this.#transcript.statements) this.#step(statement);
    this.#observe();
    this.#expectSilence({ line: 0, who: "", sign: "*", words: "the end" });
  }

  #step(statement: Statement): void {
    const { sign, who, words } = statement;
    this.#observe();
    if (sign === "*" || sign === this.#subject.speaks) return this.#expect(statement);
    this.#expectSilence(statement);
    if (sign === "!") this.#subject.act(who, words);
    else if (sign === "@") this.#advance(readTime(words));
    else if (sign === "+") this.#advance(this.#now + readTime(words));
    else this.#subject.hear(who, this.#frameOf(statement));
  }

  #advance(time: number): void {
    assert.ok(time >= this.#now, `time ${time} is past`);
    // In steps: whoever answers heartbeats does so soon.
    while (this.#now < time) {
      this.#now = this.#transcript.answersHeartbeats ? Math.min(time, this.#now + 1000) : time;
      this.#subject.advanceTo(this.#now);
      this.#observe();
    }
  }

  #observe(): void {
    for (const seen of this.#subject.observe()) {
      if (!("frame" in seen)) {
        this.#pending.push(seen);
        continue;
      }
      const { topic, event, ref } = seen.frame;
      if (ref !== null) this.#topics.set(`${seen.who} ${ref}`, topic);
      if (this.#transcript.answersHeartbeats && event === "heartbeat") {
        this.#subject.hear(seen.who, this.#reply(ref!, "phoenix", { status: "ok", response: {} }));
      } else this.#pending.push(seen);
    }
  }

  #expect(statement: Statement): void {
    const index = this.#pending.findIndex(({ who }) => who === statement.who);
    const seen = this.#pending[index];
    if (!seen) return this.#fail(statement, "nothing happens");
    if (seen.at !== this.#now) this.#fail(statement, `it happens at ${seen.at} ms, not at ${this.#now}`);
    const difference = "note" in seen
      ? differenceOfNote(statement, seen.note)
      : this.#differenceOfFrame(statement, seen.frame);
    if (difference !== undefined) this.#fail(statement, difference);
    this.#pending.splice(index, 1);
  }

  #differenceOfFrame(statement: Statement, seen: WireFrame): string | undefined {
    if (statement.sign === "*") return "it says a frame instead";
    const wanted = this.#wantedFrame(statement);
    if (wanted.topic !== seen.topic || wanted.event !== seen.event) return "it says something else";
    return matches(wanted.ref, seen.ref, this.#bindings, "ref") ??
      matches(wanted.payload, seen.payload, this.#bindings, "payload");
  }

  #expectSilence(statement: Statement): void {
    if (this.#pending.length > 0) this.#fail(statement, "something else happens first");
  }

  /** The frame of a line with patterns in it. */
  #wantedFrame(statement: Statement): { topic: string; event: string; ref: unknown; payload: unknown } {
    const answer = /^(ok|error) (\d+|\$\w+)(?: (.*))?$/.exec(statement.words);
    if (answer) {
      const ref = Number(substitute(readPattern(answer[2]!), this.#bindings));
      const topic = this.#topics.get(`${statement.who} ${ref}`) ?? "gateway";
      const reason = answer[3];
      return this.#reply(
        ref,
        topic,
        answer[1] === "ok"
          ? { status: "ok", response: reason === undefined ? {} : readPattern(reason) }
          : { status: "error", response: { reason } },
      );
    }
    const parts = /^(\d+|·|…|\$\w+) ([\w-]+):([\w|]+) (.*)$/.exec(statement.words);
    if (!parts) return this.#fail(statement, "this is no frame: REF TOPIC:EVENT JSON");
    const names = parts[3]!.split("|");
    return {
      ref: parts[1] === "·" ? null : readPattern(parts[1]!),
      topic: parts[2]!,
      event: (this.#dialect === "v2" ? names[1] : undefined) ?? names[0]!,
      payload: readPattern(parts[4]!),
    };
  }

  /** A frame for the side under test. */
  #frameOf(statement: Statement): WireFrame {
    const { topic, event, ref, payload } = this.#wantedFrame(statement);
    const frame = {
      topic,
      event,
      ref: substitute(ref, this.#bindings) as number | null,
      payload: substitute(payload, this.#bindings),
    };
    if (frame.ref !== null) this.#topics.set(`${statement.who} ${frame.ref}`, topic);
    return frame;
  }

  #reply(ref: number, topic: string, payload: unknown): WireFrame {
    return { topic, event: "phx_reply", ref, payload };
  }

  #fail(statement: Statement, why: string): never {
    const { name } = this.#transcript;
    const seen = this.#pending.map(render).join("\n  ") || "(nothing)";
    assert.fail(
      `${name}:${statement.line}: ${why}.\n${statement.who} ${statement.sign} ${statement.words}\n` +
        `What happens:\n  ${seen}`,
    );
  }
}

function differenceOfNote({ sign, words }: Statement, note: string): string | undefined {
  if (sign !== "*") return "it does something instead";
  const pattern = words.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*");
  return new RegExp(`^${pattern}$`, "s").test(note) ? undefined : "it does something else";
}

function render(seen: Observation): string {
  const head = `${seen.at} ms ${seen.who}`;
  if ("note" in seen) return `${head} * ${seen.note}`;
  const { topic, event, ref, payload } = seen.frame;
  return `${head} says ${ref ?? "·"} ${topic}:${event} ${JSON.stringify(payload)}`;
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function readTime(words: string): number {
  const parts = words.trim().split(/ +/).map((part) => /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(part));
  assert.ok(parts.every((part) => part !== null), `"${words}" is no time`);
  return parts.reduce((sum, part) => sum + Number(part![1]) * UNITS[part![2]!]!, 0);
}
