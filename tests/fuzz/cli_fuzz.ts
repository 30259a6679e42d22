import { UsageError } from "../../mod/cli/errors.ts";
import { parseLogFilter, passes } from "../../mod/cli/log/mod.ts";
import { parseCidrs, parseDuration, parseListenAddress, parsePortRange } from "../../mod/cli/values.ts";
import { parseResolvConf } from "../../mod/host/mod.ts";
import corpus from "./corpus/cli.hex" with { type: "text" };
import { fromText, type FuzzTarget } from "./target.ts";

const VALUES = [parseDuration, parseListenAddress, parsePortRange, parseCidrs];

/** 1 when the parser understood the text, 0 when it called it a usage error. */
function understood(parse: (text: string, source: string) => unknown, text: string): 0 | 1 {
  try {
    parse(text, "`--flag`");
    return 1;
  } catch (error) {
    if (error instanceof UsageError) return 0;
    throw error;
  }
}

export const target: FuzzTarget = {
  title: "what an operator writes is understood or a usage error",
  seeds: ["info,portal=debug", "1h 30m", "[::]:8080", "1-2", "10.0.0.0/8,fd00::/8", "nameserver 1.1.1.1\n"]
    .map(fromText),
  corpus,
  start: () => (input) => {
    const text = new TextDecoder().decode(input);
    const filter = parseLogFilter(text);
    passes(filter, ["portal"], "info");
    const nameservers = parseResolvConf(text).nameservers.length;
    const values = VALUES.map((parse) => understood(parse, text)).join("");
    return `${values} ${Math.min(nameservers, 3)} ${filter.fallback} ${Math.min(filter.targets.length, 3)}`;
  },
};
