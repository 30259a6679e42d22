/**
 * `postern relay`: a TURN server for Firezone devices. It connects to a portal with a token, or leaves it to a portal
 * that knows its secret to tell devices about it. A drop-in for Firezone's relay.
 */
import { getLogger } from "@logtape/logtape";
import { systemFacts } from "../../host/mod.ts";
import { parseIp } from "../../packet/address.ts";
import { proxyFor, splitApiUrl } from "../../portal/mod.ts";
import type { Command } from "../command.ts";
import { CommandError } from "../errors.ts";
import { readFileIfAny } from "../files.ts";
import { type LogFormat, startLogging } from "../log/mod.ts";
import { type Environment, helpText, type OptionTable, type OptionValues, parseOptions } from "../options.ts";
import { type RelayLinkOptions, relayUserAgent } from "../relay_link.ts";
import { RELAY_OPTIONS, relayOptions } from "../relay_options.ts";
import { relayService } from "../relay_service.ts";
import { variablesWithoutEffect, withFirezoneRelayVariables } from "../relay_variables.ts";
import { runService } from "../session.ts";
import { findToken, TOKEN_FILES, TOKEN_VARIABLE } from "../token.ts";
import { certificates, healthAddress, healthOption, LOG_OPTIONS, TUNNEL_OPTIONS } from "../tunnel_options.ts";
import { parseCidrs, parseDuration } from "../values.ts";

const log = getLogger(["postern", "cli"]);

const { apiUrl, name, maxPartitionTime, extraCa, tokenInHeaderOnly } = TUNNEL_OPTIONS;
const { default: _none, ...HEALTH_OPTION } = healthOption("off");
/** Where Firezone's relay serves its health; a relay without a portal of its own stands beside a gateway. */
const HEALTH_ADDRESS = "0.0.0.0:8080";

const OPTIONS = {
  secretFile: {
    flag: "secret-file",
    env: "POSTERN_RELAY_SECRET_FILE",
    kind: "text",
    value: "file",
    help: "File with the relay's secret, for a portal whose policy names it (`[[relay]] secret_file`); " +
      "a new one at each start when absent.",
  },
  apiUrl,
  name: { ...name, help: "Name shown in the portal." },
  maxPartitionTime,
  extraCa,
  tokenInHeaderOnly,
  relayRefuse: {
    flag: "relay-refuse",
    env: "POSTERN_RELAY_REFUSE",
    kind: "text",
    value: "networks",
    help: "Further networks that the relay must not send to, such as the portal's; separated by commas.",
  },
  ...RELAY_OPTIONS,
  healthCheckAddr: HEALTH_OPTION,
  ...LOG_OPTIONS,
} as const satisfies OptionTable;

const POSITIONALS = [{
  name: "TOKEN",
  env: TOKEN_VARIABLE,
  help: "The relay's token for the portal, or a file with it; without it there is no portal to connect to.",
}];

export const relay: Command = {
  async run(args, variables) {
    const environment = withFirezoneRelayVariables(variables);
    const { options, positionals, help } = parseOptions(OPTIONS, POSITIONALS, args, environment);
    if (help) {
      const usage = "postern relay [options] [TOKEN]";
      console.log(helpText("A TURN server for Firezone devices.", usage, OPTIONS, POSITIONALS));
      return 0;
    }
    const credentials = environment("CREDENTIALS_DIRECTORY");
    const hasPortal = positionals[0] !== undefined || hasCredential(credentials);
    if (!hasPortal && options.secretFile === undefined) throw new CommandError(NO_PORTAL);
    const token = hasPortal ? findToken(positionals[0], credentials, TOKEN_FILES) : undefined;
    const address = healthAddress(options.healthCheckAddr ?? (hasPortal ? HEALTH_ADDRESS : "off"));
    const refused = parseCidrs(options.relayRefuse ?? "", "`--relay-refuse`");
    const secret = options.secretFile === undefined ? undefined : readSecret(options.secretFile);
    const settings = relayOptions(options, refused, secret);
    startLogging(options.logFormat as LogFormat, environment("RUST_LOG"));
    return await runService("relay", async () => {
      const ignored = variablesWithoutEffect(environment);
      if (ignored.length > 0) log.warn("Variables without effect here", { variables: ignored.join(" ") });
      if (token === undefined) return await relayService(settings);
      const portal = linkOptions(options, token, environment);
      const refusedPeers = [...settings.refusedPeers ?? [], ...hostAddress(portal)];
      return await relayService({ ...settings, refusedPeers }, portal);
    }, address);
  },
};

const NO_PORTAL =
  "Cannot start the relay: no portal would know of it. Pass the token with which it connects to one " +
  `as the argument or in ${TOKEN_VARIABLE}, or name with \`--secret-file\` the secret that a portal's policy has.`;

function hasCredential(directory: string | undefined): boolean {
  return directory !== undefined && readFileIfAny(`${directory}/${TOKEN_VARIABLE}`) !== undefined;
}

function linkOptions(
  options: OptionValues<typeof OPTIONS>,
  token: string,
  environment: Environment,
): RelayLinkOptions {
  const proxy = proxyFor(splitApiUrl(options.apiUrl), environment);
  return {
    apiUrl: options.apiUrl,
    token,
    tokenInQuery: !options.tokenInHeaderOnly,
    userAgent: relayUserAgent(systemFacts()),
    name: options.name,
    maxPartitionTime: parseDuration(options.maxPartitionTime, "`--max-partition-time`"),
    ...certificates(options.extraCa, readFileIfAny),
    ...(proxy && { proxy }),
  };
}

/** The portal's address where the URL tells: holders of a relay credential have no business there. */
function hostAddress({ apiUrl }: RelayLinkOptions): string[] {
  const { host } = splitApiUrl(apiUrl);
  return parseIp(host) ? [host] : [];
}

function readSecret(path: string): string {
  const secret = readFileIfAny(path)?.trim();
  if (!secret || secret.length < 16) {
    throw new CommandError(
      `Cannot use ${path} as the relay's secret: it is not readable or has less than 16 characters. The portal's ` +
        "policy names the same secret.",
    );
  }
  return secret;
}
