/** The portal at one moment, indexed for a page: made for a request, thrown away with it. */
import type { Id, ReportedClient } from "../../../portal/types.ts";
import type { DeviceDetails } from "../core/device_details.ts";
import type { Grant } from "../core/grants.ts";
import type { Happening } from "../core/happenings.ts";
import type { JoinedRelay } from "../core/relays.ts";
import type { TokenRecord } from "../core/tokens.ts";
import { type Access, accessTo } from "../policy/access.ts";
import type { ActorPolicy, PortalPolicy, ResourcePolicy } from "../policy/policy.ts";
import type { Portal } from "../server/portal.ts";
import type { GatewayLive, LiveState, Rate } from "./live_state.ts";

/** A client's connection to one gateway, as that gateway reported it. */
export interface LiveConnection {
  readonly gateway: DeviceDetails;
  readonly client: ReportedClient;
  /** Undefined until two reports tell it. */
  readonly rate: Rate | undefined;
}

/** What the pages need of the portal. */
export type AdminPortal = Pick<
  Portal,
  | "policy"
  | "unixNow"
  | "devices"
  | "grants"
  | "tokens"
  | "addToken"
  | "revokeToken"
  | "reports"
  | "recent"
  | "relays"
  | "verify"
  | "disconnect"
>;

export class Snapshot {
  readonly policy: PortalPolicy;
  readonly unixNow: number;
  readonly live: LiveState;
  readonly devices: ReadonlyMap<Id, DeviceDetails>;
  readonly tokens: readonly TokenRecord[];
  /** What happened, the newest last. */
  readonly recent: readonly Happening[];
  /** Relays that are connected to the portal. */
  readonly relays: readonly JoinedRelay[];
  readonly #actors: ReadonlyMap<string, ActorPolicy>;
  readonly #resources: ReadonlyMap<Id, ResourcePolicy>;
  readonly #grants: readonly Grant[];

  /** @param suspended why no device is served at the moment, if so */
  constructor(portal: AdminPortal, live: LiveState, readonly suspended: string | undefined) {
    this.policy = portal.policy;
    this.unixNow = portal.unixNow();
    this.live = live;
    this.devices = new Map(portal.devices().map((device) => [device.id, device]));
    this.tokens = portal.tokens();
    this.recent = portal.recent();
    this.relays = portal.relays();
    live.observe(portal.reports());
    this.#actors = new Map(this.policy.actors.map((actor) => [actor.name, actor]));
    this.#resources = new Map(this.policy.resources.map((resource) => [resource.id, resource]));
    this.#grants = portal.grants().filter((grant) => grant.confirmed && grant.expiresAt > this.unixNow);
  }

  /** Those that are there first, then by name. */
  gateways(): DeviceDetails[] {
    return sorted([...this.devices.values()].filter(({ role }) => role === "gateway"));
  }

  /** Those that are there first, then by name. */
  clients(): DeviceDetails[] {
    return sorted([...this.devices.values()].filter(({ role }) => role === "client"));
  }

  actor(name: string): ActorPolicy | undefined {
    return this.#actors.get(name);
  }

  resource(id: Id): ResourcePolicy | undefined {
    return this.#resources.get(id);
  }

  siteName(id: Id): string {
    return this.policy.sites.find((site) => site.id === id)?.name ?? "a site that is gone";
  }

  grantsOfClient(id: Id): Grant[] {
    return this.#grants.filter((grant) => grant.clientId === id);
  }

  grantsOfResource(id: Id): Grant[] {
    return this.#grants.filter((grant) => grant.resourceId === id);
  }

  /** What a gateway that is there reported; undefined when it reports nothing. */
  gatewayLive(gateway: DeviceDetails): GatewayLive | undefined {
    const live = gateway.session && this.live.gateway(gateway.id);
    // One that doesn't report any more (another program runs there now) has no live state.
    return live && live.at >= gateway.session!.since ? live : undefined;
  }

  connectionsOf(clientId: Id): LiveConnection[] {
    return this.gateways().flatMap((gateway) => {
      const live = this.gatewayLive(gateway);
      const client = live?.report.clients.find((one) => one.client_id === clientId);
      return live && client ? [{ gateway, client, rate: live.rates.get(clientId) }] : [];
    });
  }

  /**
   * Whether a device may use a resource as things are. Undefined when no policy gives it to the device's actor; a
   * device that isn't there is told nothing, since conditions depend on where it is.
   */
  access(device: DeviceDetails, resourceId: Id): Access | undefined {
    const actor = this.actor(device.owner);
    if (!actor || !device.session) return undefined;
    const { remoteIp, region, providerId } = device.session;
    const { verified } = device;
    return accessTo(resourceId, actor, this.policy, {
      remoteIp,
      region,
      providerId,
      verified,
      unixNow: this.unixNow,
    });
  }
}

function sorted(devices: DeviceDetails[]): DeviceDetails[] {
  const rank = ({ session }: DeviceDetails) => session ? 0 : 1;
  return devices.sort((a, b) => rank(a) - rank(b) || compareText(a.name, b.name) || compareText(a.id, b.id));
}

/** By code units: the same everywhere, and fast. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
