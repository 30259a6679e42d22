/**
 * `RUST_LOG`, the filter that Firezone's operators know: `info`, `error,portal=debug`, `runtime::loop=trace`.
 * A target names a category by its segments and everything below it; the longest matching target decides.
 * Span filters (`target[span]=level`) have nothing to match here and are reported as ignored.
 */

/** From least to most severe; `off` shows nothing. */
export const LEVELS = ["trace", "debug", "info", "warn", "error", "off"] as const;
export type Level = typeof LEVELS[number];

export interface LogFilter {
  /** The least severe level that is shown when no target matches. */
  readonly fallback: Level;
  readonly targets: readonly { readonly path: readonly string[]; readonly level: Level }[];
  /** Parts of the text that mean nothing here, to be said once at the start. */
  readonly ignored: readonly string[];
}

export const DEFAULT_LEVEL: Level = "info";

/** Never throws: a gateway does not stay down because of a log setting. */
export function parseLogFilter(text: string | undefined): LogFilter {
  let fallback: Level | undefined;
  const targets: { path: string[]; level: Level }[] = [];
  const ignored: string[] = [];
  for (const directive of (text ?? "").split(",").map((part) => part.trim()).filter(Boolean)) {
    const [target, levelText, ...rest] = directive.split("=").map((part) => part.trim());
    const bare = levelText === undefined ? levelOf(target!) : undefined;
    const level = levelText === undefined || levelText === "" ? "trace" : levelOf(levelText);
    if (bare !== undefined) fallback = bare;
    else if (level === undefined || rest.length > 0 || !/^[A-Za-z0-9_-]+(::[A-Za-z0-9_-]+)*$/.test(target!)) {
      ignored.push(directive);
    } else targets.push({ path: target!.split("::"), level });
  }
  targets.sort((a, b) => b.path.length - a.path.length);
  return { fallback: fallback ?? (targets.length > 0 ? "error" : DEFAULT_LEVEL), targets, ignored };
}

function levelOf(text: string): Level | undefined {
  const name = text.toLowerCase();
  return LEVELS.find((level) => level === (name === "warning" ? "warn" : name));
}

/** Whether a record of this category and level is shown. */
export function passes(filter: LogFilter, category: readonly string[], level: Level): boolean {
  const target = filter.targets.find(({ path }) => path.every((segment, i) => segment === category[i]));
  return LEVELS.indexOf(level) >= LEVELS.indexOf(target?.level ?? filter.fallback);
}
