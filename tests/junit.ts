/**
 * JUnit reports: what `deno test --junit-path` writes, read and counted; and the same written for runs that are not
 * `deno test`. As a program (`junit.ts file …`) it prints the closing line of CI, `N passed, N failed`.
 */

export interface CaseResult {
  readonly name: string;
  readonly seconds: number;
  readonly failure: string | undefined;
}

export interface Totals {
  passed: number;
  failed: number;
  /** Switched off in the source; there are meant to be none. */
  skipped: number;
}

export function writeJunit(path: string, suite: string, results: readonly CaseResult[]): void {
  const failures = results.filter(({ failure }) => failure !== undefined).length;
  const time = results.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(3);
  const counts = `tests="${results.length}" failures="${failures}" errors="0" time="${time}"`;
  const cases = results.map(({ name, seconds, failure }) =>
    `        <testcase name="${escape(name)}" classname="${escape(suite)}" time="${seconds.toFixed(3)}">` +
    (failure === undefined
      ? ""
      : `<failure message="${escape(failure.split("\n")[0]!)}">${escape(failure)}</failure>`) +
    `</testcase>`
  );
  const lines = [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<testsuites name="postern" ${counts}>`,
    `    <testsuite name="${escape(suite)}" disabled="0" ${counts}>`,
    ...cases,
    `    </testsuite>`,
    `</testsuites>`,
    "",
  ];
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/") + 1) || ".", { recursive: true });
  Deno.writeTextFileSync(path, lines.join("\n"));
}

function escape(text: string): string {
  // deno-lint-ignore no-control-regex -- XML 1.0 forbids exactly these
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, "?").replace(/&/g, "&amp;").replace(/</g, "&lt;")
    .replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

/** Counts the test cases themselves, not the totals that the report claims. Steps of a test are cases too. */
export function countCases(xml: string): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const [, , body] of xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([^]*?)<\/testcase>)/g)) {
    if (body !== undefined && /<(failure|error)\b/.test(body)) totals.failed++;
    else if (body !== undefined && /<skipped\b/.test(body)) totals.skipped++;
    else totals.passed++;
  }
  return totals;
}

if (import.meta.main) {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const file of Deno.args) {
    const { passed, failed, skipped } = countCases(Deno.readTextFileSync(file));
    totals.passed += passed;
    totals.failed += failed;
    totals.skipped += skipped;
  }
  if (totals.skipped > 0) console.log(`${totals.skipped} switched off`);
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  Deno.exit(totals.failed === 0 && totals.passed > 0 ? 0 : 1);
}
