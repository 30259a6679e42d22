/** A portal that says what a test wants the admin pages to show, and notes what they do to it. */
import { Hono } from "hono";
import { html } from "hono/html";
import { type AdminPortal, adminRoutes, LiveState } from "../../../../mod/embedded/portal/admin/mod.ts";
import type { DeviceDetails, DeviceSession } from "../../../../mod/embedded/portal/core/device_details.ts";
import type { Happening, ReceivedReport } from "../../../../mod/embedded/portal/core/happenings.ts";
import type { JoinedRelay } from "../../../../mod/embedded/portal/core/relays.ts";
import type { Grant } from "../../../../mod/embedded/portal/core/grants.ts";
import type { TokenRecord } from "../../../../mod/embedded/portal/core/tokens.ts";
import {
  type AccessPolicy,
  FAR_FUTURE,
  nameBasedId,
  type PortalPolicy,
  type ResourcePolicy,
  type ResourceTarget,
  type UserPolicy,
} from "../../../../mod/embedded/portal/policy/policy.ts";
import { parseTarget } from "../../../../mod/embedded/portal/policy/resource_address.ts";
import type { GatewayReport, ReportedClient, ReportedEvent } from "../../../../mod/portal/types.ts";

export const NOW = 1_753_347_600;
export const CSRF = "proof";

export const EMPTY_POLICY: PortalPolicy = {
  account: { slug: "postern", dns: [], searchDomain: undefined },
  sites: [],
  gateways: [],
  actors: [],
  resources: [],
  accessPolicies: [],
  relays: [],
  relayTokens: [],
};

export function user(name: string, fields: Partial<UserPolicy> = {}): UserPolicy {
  return {
    kind: "user",
    name,
    displayName: name[0]!.toUpperCase() + name.slice(1),
    email: undefined,
    groups: [],
    expiresAt: FAR_FUTURE,
    passwordHash: undefined,
    totpSecret: undefined,
    admin: false,
    sessionSeconds: 7 * 86_400,
    ...fields,
  };
}

export const ADMIN = user("root", { displayName: "Rosa Admin", admin: true });

export function site(name: string) {
  return { id: nameBasedId("site", name), name };
}

export function resource(
  name: string,
  address: string,
  fields: Partial<ResourcePolicy> = {},
): ResourcePolicy {
  return {
    id: nameBasedId("resource", name),
    name,
    target: parseTarget(address) as ResourceTarget,
    description: undefined,
    siteIds: [site("office").id],
    filters: [],
    ipStack: "dual",
    ...fields,
  };
}

export function allow(
  of: ResourcePolicy,
  names: readonly string[],
  conditions: AccessPolicy["conditions"] = [],
): AccessPolicy {
  const name = conditions.length === 0 ? of.name : `${of.name}, on conditions`;
  return { id: nameBasedId("policy", name), name, resourceId: of.id, allow: names, conditions };
}

export function session(fields: Partial<DeviceSession> = {}): DeviceSession {
  return {
    dialect: "v2",
    version: "1.5.6",
    userAgent: "Debian/13 headless-client/1.5.6 (x86_64; 6.12.30)",
    remoteIp: "198.51.100.20",
    region: undefined,
    since: NOW - 3_720,
    expiresAt: NOW + 5 * 86_400,
    tokenId: undefined,
    providerId: undefined,
    ...fields,
  };
}

export function device(
  role: "gateway" | "client",
  owner: string,
  name: string,
  fields: Partial<DeviceDetails> = {},
): DeviceDetails {
  return {
    role,
    owner,
    name,
    id: nameBasedId("device", role, owner, name),
    externalId: `${name} hardware`,
    ipv4: "100.64.7.9",
    ipv6: "fd00:2021:1111::709",
    verified: false,
    session: session(),
    ...fields,
  };
}

export function grant(client: DeviceDetails, of: ResourcePolicy, gateway: DeviceDetails): Grant {
  return {
    clientId: client.id,
    resourceId: of.id,
    gatewayId: gateway.id,
    clientKey: "",
    gatewayKey: "",
    clientToken: "",
    gatewayToken: "",
    policyId: "",
    target: "",
    expiresAt: NOW + 86_400,
    confirmed: true,
    ended: false,
  } as Grant;
}

export function reported(client: DeviceDetails, fields: Partial<ReportedClient> = {}): ReportedClient {
  return {
    client_id: client.id,
    path: "direct",
    rtt_ms: 12.3,
    bytes_in: 0,
    bytes_out: 0,
    last_handshake_secs: 42,
    ...fields,
  };
}

export function report(
  clients: readonly ReportedClient[],
  events: readonly ReportedEvent[] = [],
  fields: Partial<GatewayReport> = {},
): GatewayReport {
  return { uptime_secs: 3_700, version: "0.1.0", clients, relays: [], events, ...fields };
}

export class AdminWorld implements AdminPortal {
  policy: PortalPolicy = EMPTY_POLICY;
  now = NOW;
  deviceList: DeviceDetails[] = [];
  grantList: Grant[] = [];
  tokenList: TokenRecord[] = [];
  reportList: ReceivedReport[] = [];
  happenings: Happening[] = [];
  relayList: JoinedRelay[] = [];
  currentUser: UserPolicy | undefined = ADMIN;
  readonly live = new LiveState();
  suspended: Error | undefined;
  /** What was logged. */
  readonly logged: string[] = [];
  /** What was done. */
  readonly deeds: string[] = [];
  readonly app: Hono;

  constructor(basePath = "") {
    this.app = new Hono();
    const routes = adminRoutes(this, {
      basePath,
      live: this.live,
      version: "0.1.0",
      random: (length) => new Uint8Array(length).fill(7),
      log: (text) => this.logged.push(text),
      suspended: () => this.suspended,
      currentUser: () => this.currentUser,
      csrfField: () => html`<input type="hidden" name="csrf" value="${CSRF}" />`,
    });
    this.app.route(`${basePath}/admin`, routes);
  }

  unixNow(): number {
    return this.now;
  }
  devices(): readonly DeviceDetails[] {
    return this.deviceList;
  }
  grants(): readonly Grant[] {
    return this.grantList;
  }
  tokens(): readonly TokenRecord[] {
    return this.tokenList;
  }
  reports(): readonly ReceivedReport[] {
    return this.reportList;
  }
  recent(): readonly Happening[] {
    return this.happenings;
  }
  relays(): readonly JoinedRelay[] {
    return this.relayList;
  }
  addToken(text: string, of: Pick<TokenRecord, "role" | "owner" | "providerId" | "expiresAt">): TokenRecord {
    const record = { ...of, id: nameBasedId("token", text), hash: `hash of ${text}`, createdAt: this.now };
    this.deeds.push(`add ${of.role} ${of.owner} ${of.expiresAt}`);
    this.tokenList.push(record);
    return record;
  }
  revokeToken(id: string): boolean {
    this.deeds.push(`revoke ${id}`);
    return this.tokenList.some((one) => one.id === id);
  }
  verify(id: string, verified: boolean): boolean {
    this.deeds.push(`verify ${id} ${verified}`);
    return true;
  }
  disconnect(id: string): boolean {
    this.deeds.push(`disconnect ${id}`);
    return true;
  }

  /** A gateway reports, and the pages' state takes note, as it does while the portal runs. */
  handleReport(gateway: DeviceDetails, report: GatewayReport, at: number): void {
    this.reportList = [...this.reportList.filter((one) => one.gatewayId !== gateway.id), {
      gatewayId: gateway.id,
      report,
      at,
      receivedAt: at * 1000,
    }];
    this.live.observe(this.reportList);
    for (const event of report.events) {
      this.happenings.push({ at: event.at, count: 1, kind: "gateway", gatewayId: gateway.id, event });
    }
  }

  async get(path: string): Promise<string> {
    return await (await this.app.request(path)).text();
  }

  async post(path: string, fields: Record<string, string> = {}): Promise<Response> {
    return await this.app.request(path, { method: "POST", body: new URLSearchParams(fields) });
  }
}
