/** A difference between policies on a terminal. */
import { diffLines, type PolicyDiff } from "../../../embedded/portal/policy/diff.ts";

export function printDiff(diff: PolicyDiff, nothing = "Nothing changed."): void {
  const lines = diffLines(diff);
  for (const line of lines.length > 0 ? lines : [nothing]) console.log(line.replace(/\p{C}/gu, "?"));
}
