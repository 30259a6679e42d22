import { parseLogFilter, passes } from "../../mod/cli/log/mod.ts";
import { parseDuration, parseListenAddress } from "../../mod/cli/values.ts";
import { UsageError } from "../../mod/cli/errors.ts";
import { parseResolvConf } from "../../mod/host/mod.ts";
import { fromText, type FuzzTarget } from "./target.ts";

export const target: FuzzTarget = {
  title: "what an operator writes is understood or a usage error",
  seeds: ["info,portal=debug", "1h 30m", "[::]:8080", "nameserver 1.1.1.1\nsearch a\n"].map(fromText),
  run(input) {
    const text = new TextDecoder().decode(input);
    passes(parseLogFilter(text), ["portal"], "info");
    parseResolvConf(text);
    for (const parse of [parseDuration, parseListenAddress]) {
      try {
        parse(text, "x");
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
      }
    }
  },
};
