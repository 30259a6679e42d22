/** Tells the demo step by step, as it happens, to a person at a terminal or to a log. */

export interface Narrator {
  heading(text: string): void;
  /** Runs a step and says how it went; a step that fails is told and ends the demo. */
  step<T>(text: string, work: () => Promise<T>, result?: (value: T) => string): Promise<T>;
}

export class StepFailed extends Error {
  override readonly name = "StepFailed";
}

const GREEN = "\x1b[32m", RED = "\x1b[31m", BOLD = "\x1b[1m", DIM = "\x1b[2m", RESET = "\x1b[0m";

export function narrator(write: (text: string) => void, colors: boolean): Narrator {
  const paint = (color: string, text: string) => colors ? color + text + RESET : text;
  return {
    heading: (text) => write(`\n${paint(BOLD, text)}\n`),
    async step(text, work, result) {
      write(`  ${text} ${paint(DIM, "…")} `);
      const started = performance.now();
      try {
        const value = await work();
        const took = `${((performance.now() - started) / 1000).toFixed(1)} s`;
        const said = result?.(value);
        write(`${paint(GREEN, "ok")} ${paint(DIM, `(${took})`)}${said ? `  ${said}` : ""}\n`);
        return value;
      } catch (cause) {
        write(`${paint(RED, "FAILED")}\n`);
        throw new StepFailed(`"${text}" failed`, { cause });
      }
    },
  };
}
