/** `postern client`: the lab client. It sees the world as a Firezone client does; tests, demo and bench use it. */
import { randomUUID } from "node:crypto";
import { DNS_SENTINEL, startClient } from "../../embedded/client/mod.ts";
import { GSO_MAX_SIZE, systemFacts, TunnelHost } from "../../host/mod.ts";
import type { Command } from "../command.ts";
import { readFileIfAny } from "../files.ts";
import { type LogFormat, startLogging } from "../log/mod.ts";
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
import { tunnelService } from "../tunnel_service.ts";

const OPTIONS = {
  ...TUNNEL_OPTIONS,
  id: { ...TUNNEL_OPTIONS.id, help: "Identity towards the portal; a new one at each start when absent." },
  healthCheckAddr: healthOption("off"),
} as const satisfies OptionTable;

const POSITIONALS = [{ name: "TOKEN", env: TOKEN_VARIABLE, help: "The client's token, or a file with it." }];

export const client: Command = {
  async run(args, environment) {
    const { options, positionals, help } = parseOptions(OPTIONS, POSITIONALS, args, environment);
    if (help) {
      console.log(helpText("The lab client.", "postern client [options] [TOKEN]", OPTIONS, POSITIONALS));
      return 0;
    }
    const address = healthAddress(options.healthCheckAddr);
    const tunnel = tunnelOptions(options);
    if (!options.noCheck) requireNetworkAdministration();
    const token = findToken(positionals[0], environment("CREDENTIALS_DIRECTORY"), TOKEN_FILES);
    const portal = portalIdentity(
      options,
      token,
      options.id ?? randomUUID(),
      systemFacts(),
      readFileIfAny,
      environment,
    );
    startLogging(options.logFormat as LogFormat, environment("RUST_LOG"));
    return await runService("client", async () => {
      const host = new TunnelHost({
        tunName: tunnel.tunName,
        gsoMaxSize: GSO_MAX_SIZE,
        localAddresses: [DNS_SENTINEL],
      });
      return tunnelService(await startClient({ portal, tunnel, host }));
    }, address);
  },
};
