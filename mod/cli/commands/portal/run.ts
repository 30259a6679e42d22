/** `postern portal POLICY`: the control plane itself. */
import { CONTROL_OPTIONS, controlPlace } from "../../control_options.ts";
import { type LogFormat, startLogging } from "../../log/mod.ts";
import { type Environment, helpText, type OptionTable, parseOptions } from "../../options.ts";
import { POLICY_POSITIONAL, PORTAL_OPTIONS, portalServiceOptions } from "../../portal_options.ts";
import { portalService } from "../../portal_service.ts";
import { runService } from "../../session.ts";
import { healthAddress, healthOption, LOG_OPTIONS } from "../../tunnel_options.ts";

const OPTIONS = {
  ...PORTAL_OPTIONS,
  ...CONTROL_OPTIONS,
  healthCheckAddr: healthOption("off"),
  ...LOG_OPTIONS,
} as const satisfies OptionTable;

/** @param verbs lines about the verbs, for the help text */
export async function runPortal(
  args: readonly string[],
  environment: Environment,
  verbs: () => readonly string[],
): Promise<number> {
  const { options, positionals, help } = parseOptions(OPTIONS, [POLICY_POSITIONAL], args, environment);
  if (help) {
    const usage = "postern portal [options] POLICY";
    console.log(helpText("The control plane for gateways and clients.", usage, OPTIONS, [POLICY_POSITIONAL]));
    console.log(verbs().join("\n"));
    return 0;
  }
  const address = healthAddress(options.healthCheckAddr);
  const settings = portalServiceOptions(options, positionals[0]);
  const control = controlPlace(options);
  startLogging(options.logFormat as LogFormat, environment("RUST_LOG"));
  return await runService("portal", () => portalService(settings, control), address);
}
