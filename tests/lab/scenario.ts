/**
 * A scenario: a sentence, its topology, and the steps that must hold. One file in `scenarios/` exports one, as
 * `scenario`; the file's name (with dashes) is its name.
 */
export interface Scenario {
  /** The behaviour that is shown, as a sentence. */
  readonly title: string;
  /** Part of the short run that `deno task test` makes. */
  readonly smoke?: boolean;
  /** Takes so long that it only runs when it is named. */
  readonly long?: boolean;
  /** Programs without which it cannot run. */
  readonly needs?: readonly string[];
  run(report: Report): Promise<void>;
}

export interface Report {
  /** Says what is about to be shown, before it is. */
  step(text: string): void;
  /** Says a figure or an observation. */
  note(text: string): void;
}

/** Retries until `attempt` neither throws nor returns false. @throws the last failure after `timeoutMs`. */
export async function eventually(
  what: string,
  timeoutMs: number,
  attempt: () => Promise<boolean | void>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      if (await attempt() !== false) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  } while (performance.now() < deadline);
  throw new Error(`${what}: not within ${timeoutMs} ms.`, { cause: last });
}
