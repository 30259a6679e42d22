/** Rows of text in columns, for terminals. */

/** @returns lines; the first is the heading. Columns that are empty in all rows are left out. */
export function tableLines(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const shown = heading.map((_, i) => i).filter((i) => rows.some((row) => (row[i] ?? "") !== ""));
  const all = [heading, ...rows].map((row) => shown.map((i) => printable(row[i] ?? "")));
  const widths = shown.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  return all.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd());
}

/** Names come from devices: what would move the cursor or colour the screen is shown as a question mark. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, "?");
}
