/** `postern portal policy.toml`: the control plane for gateways and clients, from one policy file. */
import type { Command } from "../command.ts";
import { type LogFormat, startLogging } from "../log/mod.ts";
import { helpText, type OptionTable, parseOptions } from "../options.ts";
import { POLICY_POSITIONAL, PORTAL_OPTIONS, portalServiceOptions } from "../portal_options.ts";
import { portalService } from "../portal_service.ts";
import { runService } from "../session.ts";
import { healthAddress, healthOption, LOG_OPTIONS } from "../tunnel_options.ts";

const OPTIONS = {
  ...PORTAL_OPTIONS,
  healthCheckAddr: healthOption("off"),
  ...LOG_OPTIONS,
} as const satisfies OptionTable;

export const portal: Command = {
  name: "portal",
  summary: "The control plane for gateways and clients, from one policy file",
  async run(args, environment) {
    const { options, positionals, help } = parseOptions(OPTIONS, [POLICY_POSITIONAL], args, environment);
    if (help) {
      console.log(
        helpText("The control plane.", "postern portal [options] POLICY", OPTIONS, [POLICY_POSITIONAL]),
      );
      return 0;
    }
    const address = healthAddress(options.healthCheckAddr);
    const settings = portalServiceOptions(options, positionals[0]);
    startLogging(options.logFormat as LogFormat, environment("RUST_LOG"));
    return await runService("portal", () => portalService(settings), address);
  },
};
