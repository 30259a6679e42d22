/** `postern gateway`: serves the clients of a site on behalf of a portal. A drop-in for Firezone's gateway. */
import { getLogger } from "@logtape/logtape";
import { systemFacts } from "../../host/mod.ts";
import type { Command } from "../command.ts";
import { COMPATIBILITY_OPTIONS, withoutEffect } from "../compatibility.ts";
import { readFileIfAny } from "../files.ts";
import { type LogFormat, startLogging } from "../log/mod.ts";
import { FLOW_LOG_OPTIONS, flowLogDestination } from "../flow_logs.ts";
import { helpText, type OptionTable, parseOptions } from "../options.ts";
import { requireNetworkAdministration } from "../permissions.ts";
import { runService } from "../session.ts";
import { findToken, TOKEN_FILES, TOKEN_VARIABLE } from "../token.ts";
import {
  healthAddress,
  healthOption,
  portalIdentity,
  TUNNEL_OPTIONS,
  tunnelOptions,
} from "../tunnel_options.ts";
import { gatewayService } from "../gateway_service.ts";

const OPTIONS = {
  ...TUNNEL_OPTIONS,
  healthCheckAddr: healthOption("0.0.0.0:8080"),
  masquerade: {
    flag: "masquerade",
    env: "POSTERN_MASQUERADE",
    kind: "switch",
    help: "Forward and masquerade the clients' packets while running; else the host must be set up for it.",
  },
  ...FLOW_LOG_OPTIONS,
  ...COMPATIBILITY_OPTIONS,
} as const satisfies OptionTable;

const POSITIONALS = [{ name: "TOKEN", env: TOKEN_VARIABLE, help: "The gateway's token, or a file with it." }];

export const gateway: Command = {
  async run(args, environment) {
    const { options, positionals, help } = parseOptions(OPTIONS, POSITIONALS, args, environment);
    if (help) {
      console.log(
        helpText("Serve the clients of a site.", "postern gateway [options] [TOKEN]", OPTIONS, POSITIONALS),
      );
      return 0;
    }
    const address = healthAddress(options.healthCheckAddr);
    const flowLogs = flowLogDestination(options.flowLogs);
    const tunnel = tunnelOptions(options);
    if (!options.noCheck) requireNetworkAdministration();
    const token = findToken(positionals[0], environment("CREDENTIALS_DIRECTORY"), TOKEN_FILES);
    startLogging(options.logFormat as LogFormat, environment("RUST_LOG"));
    return await runService("gateway", async () => {
      const log = getLogger(["postern", "cli"]);
      const ignored = withoutEffect(options);
      if (ignored.length > 0) log.warn("Options without effect here", { options: ignored.join(" ") });
      return await gatewayService({
        identity: (id) => portalIdentity(options, token, id, systemFacts(), readFileIfAny, environment),
        firezoneId: options.id,
        tunnel,
        masquerade: options.masquerade,
        raiseBuffers: !options.noIncreaseBuffers,
        flowLogs,
      });
    }, address);
  },
};
