/**
 * What should happen to each probe, written from the specification alone: sets, loops and text, no tables, no
 * caches, nothing shared with the implementation. Slow and obvious; the state-machine test holds the two together.
 */

export interface ModelFilter {
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly from: number;
  readonly to: number;
}

export type ModelResource =
  | {
    readonly kind: "cidr";
    readonly id: string;
    readonly network: string;
    readonly filters: readonly ModelFilter[];
  }
  | {
    readonly kind: "dns";
    readonly id: string;
    readonly pattern: string;
    readonly filters: readonly ModelFilter[];
  }
  | { readonly kind: "internet"; readonly id: string };

export type ProbeKind = "tcp" | "udp" | "echo" | "echo-reply" | "icmp" | "icmp-error" | "other" | "fragment";

/** A packet as both sides see it. Ports of echo are its identifier; other kinds have none. */
export interface Probe {
  readonly kind: ProbeKind;
  readonly src: string;
  readonly dst: string;
  readonly srcPort: number;
  readonly dstPort: number;
}

export type OutboundOutcome = "forward" | "prohibited" | "unreachable" | "drop";

interface ModelGrant {
  resource: ModelResource;
  until: number;
}

interface ModelClient {
  addresses: readonly string[];
  readonly grants: Map<string, ModelGrant>;
}

export class ReferenceModel {
  now = 0;
  gateway: readonly string[] = [];
  readonly clients = new Map<string, ModelClient>();

  // What the portal says

  grant(clientId: string, addresses: readonly string[], resource: ModelResource, until: number): void {
    for (const [id, other] of [...this.clients]) {
      if (id !== clientId && other.addresses.some((a) => addresses.includes(a))) this.clients.delete(id);
    }
    let client = this.clients.get(clientId);
    if (!client || client.addresses.join() !== addresses.join()) client = { addresses, grants: new Map() };
    this.clients.set(clientId, client);
    client.grants.set(resource.id, { resource, until });
    this.sweep();
  }

  revoke(clientId: string, resourceId: string): void {
    this.clients.get(clientId)?.grants.delete(resourceId);
    this.sweep();
  }

  updateExpiry(clientId: string, resourceId: string, until: number): void {
    const grant = this.clients.get(clientId)?.grants.get(resourceId);
    if (grant) grant.until = until;
    this.sweep();
  }

  updateFilters(resource: ModelResource): void {
    for (const client of this.clients.values()) {
      const grant = client.grants.get(resource.id);
      if (!grant || grant.resource.kind !== resource.kind || resource.kind === "internet") continue;
      grant.resource = { ...grant.resource, filters: resource.filters } as ModelResource;
    }
  }

  /** Undefined: the portal said nothing. A null `until` leaves the expiry alone. */
  reconcile(
    list: readonly { clientId: string; resourceId: string; until: number | null }[] | undefined,
  ): void {
    if (list === undefined) return;
    for (const [clientId, client] of this.clients) {
      for (const [resourceId, grant] of [...client.grants]) {
        const entries = list.filter((e) => e.clientId === clientId && e.resourceId === resourceId);
        const last = entries.at(-1);
        if (!last) client.grants.delete(resourceId);
        else if (last.until !== null) grant.until = last.until;
      }
    }
    this.sweep();
  }

  remove(clientId: string): void {
    this.clients.delete(clientId);
  }

  advance(ms: number): void {
    this.now += ms;
    this.sweep();
  }

  /** Nothing outlives its time, and nobody stays without a grant. */
  private sweep(): void {
    for (const [id, client] of [...this.clients]) {
      for (const [resourceId, grant] of [...client.grants]) {
        if (grant.until <= this.now) client.grants.delete(resourceId);
      }
      if (client.grants.size === 0) this.clients.delete(id);
    }
  }

  // What becomes of packets

  outbound(clientId: string, probe: Probe): OutboundOutcome {
    const client = this.clients.get(clientId);
    if (!client || probe.kind === "fragment") return "drop";
    if (inside(probe.dst, "224.0.0.0/4") || inside(probe.dst, "ff00::/8")) return "drop";
    if (probe.kind === "icmp-error") return "drop";
    if (!client.addresses.includes(probe.src)) return "prohibited";
    if (this.gateway.includes(probe.dst)) return "forward";
    if (TUNNEL.some((range) => inside(probe.dst, range))) return "prohibited";
    return this.allowed(client, probe.dst, probe.kind, probe.dstPort);
  }

  /** The client that gets the packet from TUN, or undefined. */
  inbound(probe: Probe): string | undefined {
    const found = [...this.clients].find(([, client]) => client.addresses.includes(probe.dst));
    if (!found || probe.kind === "fragment") return undefined;
    const [id, client] = found;
    if (this.gateway.includes(probe.src)) return id;
    if (TUNNEL.some((range) => inside(probe.src, range))) return undefined;
    if (PROXY.some((range) => inside(probe.src, range))) return undefined;
    if (probe.kind === "icmp-error") return id;
    return this.allowed(client, probe.src, probe.kind, probe.srcPort) === "forward" ? id : undefined;
  }

  private allowed(client: ModelClient, host: string, kind: ProbeKind, port: number): OutboundOutcome {
    const resources = [...client.grants.values()].map((grant) => grant.resource);
    const proxy = PROXY.some((range) => inside(host, range));
    const special = BLOCKED.some((range) => inside(host, range));
    const hasInternet = resources.some((resource) => resource.kind === "internet");
    if (hasInternet && !proxy && !special) return "forward";
    const covering = resources.flatMap((r) => r.kind === "cidr" && inside(host, r.network) ? [r] : []);
    if (covering.some((resource) => matches(resource.filters, kind, port))) return "forward";
    return hasInternet && !proxy && covering.length === 0 ? "unreachable" : "prohibited";
  }
}

const TUNNEL = ["100.64.0.0/11", "fd00:2021:1111::/107"];
const PROXY = ["100.96.0.0/11", "fd00:2021:1111:8000::/107"];
const BLOCKED = [
  ...["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10"],
  ...["224.0.0.0/4", "240.0.0.0/4", "::1/128", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "ff00::/8"],
];

function matches(filters: readonly ModelFilter[], kind: ProbeKind, port: number): boolean {
  if (filters.length === 0) return true;
  return filters.some((filter) => {
    if (kind === "tcp" || kind === "udp") {
      return filter.protocol === kind && filter.from <= port && port <= filter.to;
    }
    return filter.protocol === "icmp" && kind !== "other";
  });
}

/** The address as a string of "0" and "1". */
export function bits(address: string): string {
  if (!address.includes(":")) {
    return address.split(".").map((part) => Number(part).toString(2).padStart(8, "0")).join("");
  }
  const [head, tail] = address.split("::");
  const groups = (part: string | undefined) => (part ? part.split(":") : []);
  const [front, back] = [groups(head), groups(tail)];
  const middle = Array.from({ length: 8 - front.length - back.length }, () => "0");
  return [...front, ...middle, ...back].map((g) => parseInt(g, 16).toString(2).padStart(16, "0")).join("");
}

export function inside(address: string, network: string): boolean {
  const [base, prefix] = network.split("/");
  if (address.includes(":") !== base!.includes(":")) return false;
  return bits(address).slice(0, Number(prefix)) === bits(base!).slice(0, Number(prefix));
}
