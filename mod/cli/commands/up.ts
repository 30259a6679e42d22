/** `postern up policy.toml`: portal, relay and gateway in one process, for one machine and one site. */
import type { Command } from "../command.ts";
import { CONTROL_OPTIONS, controlPlace } from "../control_options.ts";
import { CommandError } from "../errors.ts";
import { type LogFormat, startLogging } from "../log/mod.ts";
import { FLOW_LOG_OPTIONS, flowLogDestination } from "../flow_logs.ts";
import { helpText, type OptionTable, parseOptions } from "../options.ts";
import { requireNetworkAdministration } from "../permissions.ts";
import { POLICY_POSITIONAL, PORTAL_OPTIONS, portalServiceOptions } from "../portal_options.ts";
import { portalService } from "../portal_service.ts";
import { RELAY_OPTIONS, relayOptions } from "../relay_options.ts";
import { relayService } from "../relay_service.ts";
import { runService, type Service } from "../session.ts";
import {
  healthAddress,
  healthOption,
  portalIdentity,
  TUNNEL_OPTIONS,
  tunnelOptions,
} from "../tunnel_options.ts";
import { ownRelayPlaces } from "../own_relay.ts";
import { gatewayService } from "../gateway_service.ts";
import { systemFacts } from "../../host/mod.ts";
import { readFileIfAny } from "../files.ts";
import { makeToken, type PortalServer } from "../../embedded/portal/mod.ts";
import { FAR_FUTURE } from "../../embedded/portal/policy/policy.ts";

/**
 * The gateway reaches its portal at a port of its own on the loopback, without TLS: there is nothing to configure, and
 * a certificate, which names the public host, may expire or be replaced without cutting it off.
 */
const { apiUrl: _apiUrl, tokenInHeaderOnly: _header, extraCa: _ca, ...GATEWAY_OPTIONS } = TUNNEL_OPTIONS;

const OPTIONS = {
  ...PORTAL_OPTIONS,
  ...CONTROL_OPTIONS,
  ...RELAY_OPTIONS,
  gateway: {
    flag: "gateway",
    kind: "text",
    value: "name",
    help: "Which [[gateway]] of the policy runs here; the first when absent.",
  },
  noMasquerade: {
    flag: "no-masquerade",
    env: "POSTERN_NO_MASQUERADE",
    kind: "switch",
    help: "Leave forwarding and masquerading to the host.",
  },
  healthCheckAddr: healthOption("0.0.0.0:8080"),
  ...FLOW_LOG_OPTIONS,
  ...GATEWAY_OPTIONS,
} as const satisfies OptionTable;

export const up: Command = {
  async run(args, environment) {
    const { options, positionals, help } = parseOptions(OPTIONS, [POLICY_POSITIONAL], args, environment);
    if (help) {
      const usage = "postern up [options] POLICY";
      console.log(helpText("Portal, relay and gateway in one process.", usage, OPTIONS, [POLICY_POSITIONAL]));
      return 0;
    }
    const address = healthAddress(options.healthCheckAddr);
    const portalSettings = portalServiceOptions(options, positionals[0]);
    const control = controlPlace(options);
    const relaySettings = relayOptions(options, []);
    const flowLogs = flowLogDestination(options.flowLogs);
    const tunnel = tunnelOptions({ ...TUNNEL_DEFAULTS, ...options });
    if (!options.noCheck) requireNetworkAdministration();
    startLogging(options.logFormat as LogFormat, environment("RUST_LOG"));
    return await runService("up", async () => {
      const services: Service[] = [];
      try {
        const relay = await relayService(relaySettings);
        services.push(relay);
        const settings = { ...portalSettings, loopback: true, relays: [relay.policy] };
        const portal = await portalService(settings, control);
        services.push(portal);
        const values = { ...TUNNEL_DEFAULTS, ...options, apiUrl: portal.server.loopbackUrl! };
        const token = makeGatewayToken(portal.server, options.gateway);
        const gateway = await gatewayService({
          identity: (id) => portalIdentity(values, token, id, systemFacts(), readFileIfAny),
          firezoneId: options.id,
          tunnel,
          masquerade: !options.noMasquerade,
          raiseBuffers: !options.noIncreaseBuffers,
          flowLogs,
          relayPlaces: ownRelayPlaces(relay.policy),
        });
        services.push(gateway);
      } catch (error) {
        await stopAll(services);
        throw error;
      }
      return together(services);
    }, address);
  },
};

const TUNNEL_DEFAULTS = { apiUrl: "", tokenInHeaderOnly: false, extraCa: undefined };

/** Marks the tokens of gateways that run in the portal's own process. */
const OWN_PROCESS = "up";

/**
 * A token of its own for the gateway here, instead of those of earlier runs: it doesn't depend on the entry's token,
 * which may be changed while this process runs, or have been made by a verb and so be known to nobody here.
 */
function makeGatewayToken(portal: PortalServer, name: string | undefined): string {
  const gateway = portal.policy.gateways.find((one) => name === undefined || one.name === name);
  if (gateway === undefined) {
    throw new CommandError(
      name === undefined
        ? "Cannot start the gateway: the policy has no [[gateway]]. Add one."
        : `Cannot start the gateway: the policy has no [[gateway]] called "${name}".`,
    );
  }
  for (const { id, providerId } of portal.tokens()) if (providerId === OWN_PROCESS) portal.revokeToken(id);
  const token = makeToken();
  const owner = { role: "gateway", owner: gateway.name } as const;
  portal.addToken(token, { ...owner, providerId: OWN_PROCESS, expiresAt: FAR_FUTURE });
  return token;
}

/** One service of several: ready when all are, ended when one is. The last to start is the first to stop. */
function together(services: readonly Service[]): Service {
  return {
    done: Promise.race(services.map(({ done }) => done)),
    readiness: () =>
      services.map((one) => one.readiness()).find(({ ready }) => !ready) ?? services.at(-1)!.readiness(),
    metrics: async () => (await Promise.all(services.map((one) => one.metrics()))).flat(),
    stop: () => stopAll(services),
  };
}

async function stopAll(services: readonly Service[]): Promise<void> {
  for (const service of [...services].reverse()) await service.stop();
}
