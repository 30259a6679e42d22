/**
 * What should happen to each probe, written from the specification alone: sets, loops and text, no tables, no
 * caches, nothing shared with the implementation. Slow and obvious; the state-machine test holds the two together.
 */
import { type ModelNat, newNat, type SessionKind } from "./reference_nat.ts";

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

/** A packet as both sides see it. Ports of echo are its identifier (`srcPort`); other kinds have none. */
export interface Probe {
  readonly kind: ProbeKind;
  readonly src: string;
  readonly dst: string;
  readonly srcPort: number;
  readonly dstPort: number;
  /** TCP only. */
  readonly flag: "syn" | "ack" | "fin" | "rst";
  /** Of an ICMP error: what the quoted packet, sent by the error's receiver, was. */
  readonly quote: { readonly kind: SessionKind; readonly srcPort: number; readonly dst: string };
}

/** What leaves in place of the probe; only what differs from it is told. */
export type OutboundOutcome = Partial<Probe> | "prohibited" | "unreachable" | "drop";
export type InboundOutcome = { readonly to: string; readonly as: Partial<Probe> } | undefined;

interface ModelGrant {
  resource: ModelResource;
  until: number;
}

interface ModelTranslation {
  readonly domain: string;
  /** Resource id and the pattern it had when it opened this address. */
  readonly resources: Map<string, string>;
  real: string | undefined;
}

interface ModelClient {
  readonly addresses: readonly string[];
  readonly grants: Map<string, ModelGrant>;
  readonly translations: Map<string, ModelTranslation>;
  /** Every address that a translation could lead to. */
  readonly shared: Set<string>;
  readonly nat: ModelNat;
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
    if (!client || client.addresses.join() !== addresses.join()) {
      client = { addresses, grants: new Map(), translations: new Map(), shared: new Set(), nat: newNat() };
    }
    this.clients.set(clientId, client);
    client.grants.set(resource.id, { resource, until });
    this.endGrants();
  }

  revoke(clientId: string, resourceId: string): void {
    this.clients.get(clientId)?.grants.delete(resourceId);
    this.endGrants();
  }

  updateExpiry(clientId: string, resourceId: string, until: number): void {
    const grant = this.clients.get(clientId)?.grants.get(resourceId);
    if (grant) grant.until = until;
    this.endGrants();
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
        const last = list.filter((e) => e.clientId === clientId && e.resourceId === resourceId).at(-1);
        if (!last) client.grants.delete(resourceId);
        else if (last.until !== null) grant.until = last.until;
      }
    }
    this.endGrants();
  }

  remove(clientId: string): void {
    this.clients.delete(clientId);
  }

  /** NAT sessions end on full seconds; somebody who looks at the clock late ends them when he looks. */
  advance(ms: number, late: boolean): void {
    const before = this.now;
    this.now += ms;
    const ticks = Math.floor(this.now / 1000) - Math.floor(before / 1000);
    for (const client of this.clients.values()) {
      if (late && ticks > 0) client.nat.sweep(this.now);
      for (let i = 1; !late && i <= ticks; i++) client.nat.sweep((Math.floor(before / 1000) + i) * 1000);
    }
    this.endGrants();
  }

  /** Nothing outlives its time, and nobody stays without a grant. */
  private endGrants(): void {
    for (const [id, client] of [...this.clients]) {
      for (const [resourceId, grant] of [...client.grants]) {
        if (grant.until <= this.now) client.grants.delete(resourceId);
      }
      if (client.grants.size === 0) this.clients.delete(id);
    }
  }

  // What the client says about names

  /** What the client is told; undefined: it is not there. `resolved` undefined: no outcome in time. */
  assign(
    clientId: string,
    resourceId: string,
    domain: string,
    proxies: readonly string[],
    resolved: readonly string[] | undefined,
  ): boolean | undefined {
    const client = this.clients.get(clientId);
    if (!client) return undefined;
    const resource = client.grants.get(resourceId)?.resource;
    if (resource?.kind !== "dns" || !owns(resource.pattern, domain) || !resolved) return false;
    const known = proxies.map((proxy) => client.translations.get(proxy));
    if (known.some((translation) => translation && translation.domain !== domain)) {
      client.translations.clear();
      client.shared.clear();
      client.nat.clear();
    }
    const usable = numeric(
      resolved.filter((a) => ![...TUNNEL, ...PROXY, ...MULTICAST].some((r) => inside(a, r))),
    );
    usable.forEach((address) => client.shared.add(address));
    for (const v6 of [false, true]) {
      const real = usable.filter((address) => address.includes(":") === v6);
      const mine = numeric(proxies).filter((p) =>
        p.includes(":") === v6 && PROXY.some((range) => inside(p, range))
      );
      mine.forEach((proxy, i) => {
        const translation = client.translations.get(proxy) ??
          { domain, resources: new Map(), real: undefined };
        translation.resources.set(resourceId, resource.pattern);
        translation.real = real[i % real.length];
        client.translations.set(proxy, translation);
      });
    }
    return true;
  }

  // What becomes of packets

  outbound(clientId: string, probe: Probe): OutboundOutcome {
    const client = this.clients.get(clientId);
    if (!client || probe.kind === "fragment") return "drop";
    if (MULTICAST.some((range) => inside(probe.dst, range))) return "drop";
    if (probe.kind === "icmp-error") return "drop";
    if (!client.addresses.includes(probe.src)) return "prohibited";
    if (this.gateway.includes(probe.dst)) return {};
    if (TUNNEL.some((range) => inside(probe.dst, range))) return "prohibited";
    const access = this.allowed(client, probe.dst, probe.kind, probe.dstPort);
    if (access !== "allowed") return access;
    const kind = sessionKind(probe.kind);
    if (PROXY.some((range) => inside(probe.dst, range))) {
      const real = client.translations.get(probe.dst)?.real;
      const open = kind && client.nat.findInside(kind, probe.srcPort, probe.dst);
      if (real === undefined && !open) return "unreachable";
      if (!kind) return "drop";
      const session = client.nat.out(kind, probe.srcPort, probe.dst, real ?? "", probe.flag, this.now);
      return { dst: session.real, srcPort: session.outsidePort };
    }
    if (!kind) return {};
    client.nat.unexpire(kind, probe.srcPort, probe.dst);
    if (!client.shared.has(probe.dst)) return {};
    return {
      srcPort: client.nat.out(kind, probe.srcPort, probe.dst, probe.dst, probe.flag, this.now).outsidePort,
    };
  }

  inbound(probe: Probe): InboundOutcome {
    const found = [...this.clients].find(([, client]) => client.addresses.includes(probe.dst));
    if (!found || probe.kind === "fragment") return undefined;
    const [to, client] = found;
    if (probe.kind === "icmp-error") {
      const { kind, srcPort, dst } = probe.quote;
      if (client.nat.isExpired(kind, srcPort, dst)) return undefined;
      const session = client.nat.findOutside(kind, srcPort, dst);
      if (session && (session.proxy !== session.real || session.insidePort !== session.outsidePort)) {
        return {
          to,
          as: { src: session.proxy, quote: { kind, srcPort: session.insidePort, dst: session.proxy } },
        };
      }
    }
    if (this.gateway.includes(probe.src)) return { to, as: {} };
    if (TUNNEL.some((range) => inside(probe.src, range))) return undefined;
    const kind = sessionKind(probe.kind);
    // An echo carries its identifier in `srcPort` in both directions.
    const port = kind === "echo" ? probe.srcPort : probe.dstPort;
    if (kind && client.nat.isExpired(kind, port, probe.src)) return undefined;
    const session = kind && client.nat.findOutside(kind, port, probe.src);
    if (!session) {
      if (PROXY.some((range) => inside(probe.src, range))) return undefined;
      const passes = probe.kind === "icmp-error" ||
        this.allowed(client, probe.src, probe.kind, probe.srcPort) === "allowed";
      return passes ? { to, as: {} } : undefined;
    }
    if (this.allowed(client, session.proxy, probe.kind, probe.srcPort) !== "allowed") return undefined;
    client.nat.noteIn(session, probe.flag, this.now);
    const inner = kind === "echo" ? { srcPort: session.insidePort } : { dstPort: session.insidePort };
    return { to, as: { src: session.proxy, ...inner } };
  }

  private allowed(
    client: ModelClient,
    host: string,
    kind: ProbeKind,
    port: number,
  ): "allowed" | "prohibited" | "unreachable" {
    const resources = [...client.grants.values()].map((grant) => grant.resource);
    const proxy = PROXY.some((range) => inside(host, range));
    const special = BLOCKED.some((range) => inside(host, range));
    const hasInternet = resources.some((resource) => resource.kind === "internet");
    if (hasInternet && !proxy && !special) return "allowed";
    const opened = client.translations.get(host)?.resources;
    const covering = resources.flatMap((r): (readonly ModelFilter[])[] => {
      if (r.kind === "cidr") return inside(host, r.network) ? [r.filters] : [];
      return r.kind === "dns" && opened?.get(r.id) === r.pattern ? [r.filters] : [];
    });
    if (covering.some((filters) => matches(filters, kind, port))) return "allowed";
    return hasInternet && !proxy && covering.length === 0 ? "unreachable" : "prohibited";
  }
}

const TUNNEL = ["100.64.0.0/11", "fd00:2021:1111::/107"];
const PROXY = ["100.96.0.0/11", "fd00:2021:1111:8000::/107"];
const MULTICAST = ["224.0.0.0/4", "ff00::/8"];
const BLOCKED = [
  ...["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10"],
  ...["224.0.0.0/4", "240.0.0.0/4", "::1/128", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "ff00::/8"],
];

function sessionKind(kind: ProbeKind): SessionKind | undefined {
  if (kind === "echo" || kind === "echo-reply") return "echo";
  return kind === "tcp" || kind === "udp" ? kind : undefined;
}

/** The patterns of the test are `name`, `*.name` and `**.name`. */
function owns(pattern: string, domain: string): boolean {
  if (!pattern.startsWith("*")) return pattern === domain;
  const parent = pattern.slice(pattern.indexOf(".") + 1);
  if (domain === parent) return true;
  if (!domain.endsWith(`.${parent}`)) return false;
  return pattern.startsWith("**.") || !domain.slice(0, -parent.length - 1).includes(".");
}

function matches(filters: readonly ModelFilter[], kind: ProbeKind, port: number): boolean {
  if (filters.length === 0) return true;
  return filters.some((filter) => {
    if (kind === "tcp" || kind === "udp") {
      return filter.protocol === kind && filter.from <= port && port <= filter.to;
    }
    return filter.protocol === "icmp" && kind !== "other";
  });
}

function numeric(addresses: readonly string[]): string[] {
  return [...new Set(addresses)].sort((a, b) => bits(a) < bits(b) ? -1 : 1);
}

/** The address as a string of "0" and "1". */
function bits(address: string): string {
  if (!address.includes(":")) {
    return address.split(".").map((part) => Number(part).toString(2).padStart(8, "0")).join("");
  }
  const [head, tail] = address.split("::");
  const groups = (part: string | undefined) => (part ? part.split(":") : []);
  const [front, back] = [groups(head), groups(tail)];
  const middle = Array.from({ length: 8 - front.length - back.length }, () => "0");
  return [...front, ...middle, ...back].map((g) => parseInt(g, 16).toString(2).padStart(16, "0")).join("");
}

function inside(address: string, network: string): boolean {
  const [base, prefix] = network.split("/");
  if (address.includes(":") !== base!.includes(":")) return false;
  return bits(address).slice(0, Number(prefix)) === bits(base!).slice(0, Number(prefix));
}
