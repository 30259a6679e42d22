/** The replayer notices what differs: a test that can't fail shows nothing. */
import assert from "node:assert/strict";
import { type Observation, parseTranscript, replay, type Subject, type WireFrame } from "./transcript.ts";

/** Says a greeting at once and a heartbeat after 10 s, and repeats what it hears, 1 s later. */
class Parrot implements Subject {
  readonly speaks = "→";
  readonly bindings = { NAME: "polly" };
  readonly #due: { at: number; frame: WireFrame }[] = [
    { at: 0, frame: { topic: "bird", event: "hello", payload: { name: "polly", mood: 1 }, ref: 0 } },
    { at: 10_000, frame: { topic: "phoenix", event: "heartbeat", payload: {}, ref: 1 } },
  ];
  readonly #notes: Observation[] = [];
  #now = 0;

  hear(_who: string, frame: WireFrame): void {
    if (frame.event === "phx_reply") {
      this.#notes.push({ at: this.#now, who: "", note: `reply to ${frame.ref}` });
    } else this.#due.push({ at: this.#now + 1000, frame: { ...frame, ref: 7 } });
  }

  act(_who: string, words: string): void {
    this.#notes.push({ at: this.#now, who: "", note: `did ${words}` });
  }

  advanceTo(time: number): void {
    this.#now = time;
  }

  observe(): Observation[] {
    const ready = this.#due.filter(({ at }) => at <= this.#now);
    this.#due.splice(0, this.#due.length, ...this.#due.filter(({ at }) => at > this.#now));
    return [...ready.map((one) => ({ ...one, who: "" })), ...this.#notes.splice(0)];
  }
}

function run(text: string): void {
  replay(parseTranscript(text, "parrot.txt"), "v2", new Parrot());
}

Deno.test("a transcript that says what happens passes: variables, holes, dialects, times", () => {
  run(`
# A comment.
let $MOOD = 1
→ 0 bird:hi|hello {"name":$NAME,
    "mood":$MOOD}
← · bird:talk|sing {"list":[1,2,3],"name":$NAME}
+ 1s
→ … bird:sing {"list":[1,…],"name":$who}
! jump
* did …
@ 10s
→ $ref phoenix:heartbeat {…}
← ok $ref
* reply to 1
`);
});

Deno.test("heartbeats that are answered need no lines", () => {
  run(`heartbeats answered\n→ 0 bird:hello {…}\n@ 10s\n* reply to 1\n@ 1h`);
});

for (
  const [what, text, reason] of [
    ["a value that differs", `→ 0 bird:hello {"name":"jack", …}`, /payload\.name is "polly"/],
    ["a key that is too much", `→ 0 bird:hello {"name":$NAME}`, /payload\.mood is there/],
    ["a key that is missing", `→ 0 bird:hello {"name":$NAME,"mood":1,"x":…}`, /payload\.x is missing/],
    ["another event", `→ 0 bird:bye {…}`, /something else/],
    ["another ref", `→ 3 bird:hello {…}`, /ref is 0/],
    ["something that does not happen", "→ 0 bird:hello {…}\n* jump", /nothing happens/],
    ["something that is not listed", "! jump", /something else happens first/],
    ["something at the end that is not listed", "→ 0 bird:hello {…}\n! jump", /something else happens first/],
    ["something that happened earlier", "→ 0 bird:hello {…}\n@ 11s\n→ 1 phoenix:heartbeat {}", /at 10000 ms/],
    ["a variable that changes", `→ 0 bird:hello {"name":$a,"mood":$a}`, /payload\.mood is 1/],
    ["a word that is no statement", "once upon a time", /parrot\.txt:1: no such statement/],
  ] as const
) {
  Deno.test(`a transcript fails over ${what}`, () => assert.throws(() => run(text), reason));
}
