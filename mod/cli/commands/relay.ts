/** `postern relay`: a TURN server for Firezone devices, for a portal elsewhere that knows its secret. */
import type { Command } from "../command.ts";
import { CommandError } from "../errors.ts";
import { readFileIfAny } from "../files.ts";
import { type LogFormat, startLogging } from "../log/mod.ts";
import { helpText, type OptionTable, parseOptions } from "../options.ts";
import { RELAY_OPTIONS, relayOptions, relayService } from "../relay_service.ts";
import { runService } from "../session.ts";
import { healthAddress, healthOption, LOG_OPTIONS } from "../tunnel_options.ts";
import { parseCidrs } from "../values.ts";

const OPTIONS = {
  secretFile: {
    flag: "secret-file",
    env: "POSTERN_RELAY_SECRET_FILE",
    kind: "text",
    value: "file",
    help: "File with the secret that the portal's policy names for this relay (`[[relay]] secret_file`).",
  },
  relayRefuse: {
    flag: "relay-refuse",
    env: "POSTERN_RELAY_REFUSE",
    kind: "text",
    value: "networks",
    help: "Further networks that the relay must not send to, such as the portal's; separated by commas.",
  },
  ...RELAY_OPTIONS,
  healthCheckAddr: healthOption("off"),
  ...LOG_OPTIONS,
} as const satisfies OptionTable;

export const relay: Command = {
  name: "relay",
  summary: "A TURN server for devices that cannot reach each other directly",
  async run(args, environment) {
    const { options, help } = parseOptions(OPTIONS, [], args, environment);
    if (help) {
      console.log(helpText("A TURN server for Firezone devices.", "postern relay [options]", OPTIONS, []));
      return 0;
    }
    const address = healthAddress(options.healthCheckAddr);
    const refused = parseCidrs(options.relayRefuse ?? "", "`--relay-refuse`");
    const settings = relayOptions(options, refused, readSecret(options.secretFile));
    startLogging(options.logFormat as LogFormat, environment("RUST_LOG"));
    return await runService("relay", () => relayService(settings), address);
  },
};

function readSecret(path: string | undefined): string {
  const secret = path === undefined ? undefined : readFileIfAny(path)?.trim();
  if (!secret || secret.length < 16) {
    throw new CommandError(
      "Cannot start the relay: it shares a secret of at least 16 characters with the portal. Name its file with " +
        "`--secret-file`; the policy names the same secret.",
    );
  }
  return secret;
}
