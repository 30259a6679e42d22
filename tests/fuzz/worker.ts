/** The thread that a target is fuzzed in, so that a hang can be ended from outside. */
import { fuzz } from "./engine.ts";
import { Journal } from "./journal.ts";
import { formatEntry } from "./target.ts";
import { TARGETS } from "./targets.ts";
import type { Job, Verdict } from "./main.ts";

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<Job>) => void) | null;
  postMessage(verdict: Verdict): void;
};

scope.onmessage = ({ data: { name, seed, seconds, journal: buffer } }) => {
  const target = TARGETS[name]!;
  const journal = new Journal(buffer);
  const startedAt = performance.now();
  const deadline = startedAt + seconds * 1000;
  const report = fuzz(target, {
    seed,
    clock: () => performance.now(),
    goesOn: () => performance.now() < deadline,
    before: (input, isFirst) => journal.note(input, isFirst),
    found: () => journal.noteFinding(),
  });
  const { failure, ...figures } = report;
  scope.postMessage({
    ...figures,
    seconds: (performance.now() - startedAt) / 1000,
    failure: failure && {
      text: failure.error instanceof Error
        ? failure.error.stack ?? failure.error.message
        : String(failure.error),
      entry: formatEntry(failure.inputs),
      isReproducible: failure.isReproducible,
    },
  });
};
