/**
 * DNS as a Firezone client does it (spec policy §4, §5.1), sans-IO:
 *
 *   A, AAAA of a DNS resource's name ─► proxy addresses, at once; whoever carries packets is told ("assign")
 *   SRV, TXT of such a name          ─► the resource's gateway, port 53535, once there is one ("connect")
 *   other types of such a name       ─► no data
 *   PTR of a proxy address           ─► the name that it stands for
 *   everything else                  ─► the nameservers that the portal names, or this host's
 */
import type { RandomBytes } from "../../crypto/types.ts";
import {
  CLASS_IN,
  DnsCounts,
  encodeAnswer,
  encodeName,
  type ExchangeCommand,
  Forwarder,
  parseQuery,
  type Query,
  type Reply,
  servfail,
  type Transport,
  TYPE_A,
  TYPE_AAAA,
  TYPE_PTR,
  TYPE_SRV,
  TYPE_TXT,
  Upstream,
} from "../../dns/mod.ts";
import { parseIp, SocketAddress } from "../../packet/address.ts";
import { DomainPattern } from "../../policy/domain_pattern.ts";
import type { Id, TunnelInterface } from "../../portal/types.ts";
import type { DnsResourceName, NameReply } from "../../runtime/messages.ts";
import { ProxyAddresses } from "./proxy_addresses.ts";

const GATEWAY_PORT = 53535;
/** Applications ask again for every connection, and so the gateway looks again. */
const TTL_SECONDS = 1;
const CONNECT_TIMEOUT = 5000;

type Resource = DnsResourceName & { readonly matcher: DomainPattern };

interface Waiting {
  readonly number: number;
  readonly query: Query;
  readonly transport: Transport;
  readonly client: string;
  readonly resourceId: Id;
  readonly deadline: number;
}

export class StubResolver {
  readonly #upstream: Upstream;
  readonly #forwarder: Forwarder;
  readonly #proxies = new ProxyAddresses();
  readonly #sites = new Map<Id, readonly SocketAddress[]>();
  readonly #forwarded = new Map<number, number>();
  readonly #replies: Reply[] = [];
  readonly #outputs: NameReply[] = [];
  #resources: readonly Resource[] = [];
  #waiting: Waiting[] = [];
  #lastNumber = 0;

  constructor(random: RandomBytes) {
    const counts = new DnsCounts();
    this.#upstream = new Upstream(random, counts);
    this.#forwarder = new Forwarder(this.#upstream, counts);
  }

  /** Whose names are answered here, and who answers the others. */
  configure(resources: readonly DnsResourceName[], nameservers: readonly SocketAddress[], now: number): void {
    this.#resources = resources.map((r) => ({ ...r, matcher: new DomainPattern(r.pattern) })).sort(
      bySpecificity,
    );
    this.#upstream.setServers(nameservers, now);
  }

  /** The gateway that serves a resource; undefined: there is none any more. */
  setSite(resourceId: Id, gateway: TunnelInterface | undefined, now: number): void {
    if (!gateway) {
      this.#sites.delete(resourceId);
      return;
    }
    const servers = [gateway.ipv4, gateway.ipv6].map((ip) => SocketAddress.fromBytes(ip, GATEWAY_PORT));
    this.#sites.set(resourceId, servers);
    const ready = this.#waiting.filter((waiting) => waiting.resourceId === resourceId);
    this.#waiting = this.#waiting.filter((waiting) => waiting.resourceId !== resourceId);
    for (const { number, query, transport, client } of ready) {
      this.#forward(number, query, transport, client, servers, now);
    }
    this.#settle();
  }

  /** The number of the reply that will follow, or undefined when this is no query. */
  handleQuery(bytes: Uint8Array, transport: Transport, client: string, now: number): number | undefined {
    const query = parseQuery(bytes);
    if (!query) return undefined;
    const number = ++this.#lastNumber;
    const { name, type } = query.question;
    const resource = query.question.class === CLASS_IN
      ? this.#resources.find(({ matcher }) => matcher.matches(name))
      : undefined;
    const behind = type === TYPE_PTR ? this.#proxies.behind(name) : undefined;
    if (behind !== undefined) {
      const record = { type, ttl: TTL_SECONDS, data: encodeName(behind)! };
      this.#replies.push({ number, bytes: encodeAnswer(query, [record]) });
    } else if (!resource) this.#forward(number, query, transport, client, undefined, now);
    else if (type === TYPE_SRV || type === TYPE_TXT) {
      this.#askSite(number, query, transport, client, resource.id, now);
    } else this.#answer(number, query, resource);
    this.#settle();
    return number;
  }

  handleAnswer(exchange: number, from: SocketAddress, bytes: Uint8Array, now: number): void {
    this.#upstream.handleAnswer(exchange, from, bytes, now);
    this.#settle();
  }

  handleFailure(exchange: number, now: number): void {
    this.#upstream.handleFailure(exchange, now);
    this.#settle();
  }

  handleTimeout(now: number): void {
    this.#upstream.handleTimeout(now);
    const late = this.#waiting.filter(({ deadline }) => now >= deadline);
    this.#waiting = this.#waiting.filter(({ deadline }) => now < deadline);
    for (const { number, query } of late) this.#replies.push({ number, bytes: servfail(query) });
    this.#settle();
  }

  pollTimeout(): number | undefined {
    const next = Math.min(this.#upstream.pollTimeout() ?? Infinity, this.#waiting[0]?.deadline ?? Infinity);
    return next === Infinity ? undefined : next;
  }

  pollCommand(): ExchangeCommand | undefined {
    return this.#upstream.pollCommand();
  }

  pollReply(): Reply | undefined {
    return this.#replies.shift();
  }

  pollOutput(): NameReply | undefined {
    return this.#outputs.shift();
  }

  #answer(number: number, query: Query, resource: Resource): void {
    const { name, type } = query.question;
    const proxyIps = this.#proxies.of(name, resource.ipStack);
    if (!proxyIps) {
      this.#replies.push({ number, bytes: servfail(query) });
      return;
    }
    const size = type === TYPE_A ? 4 : type === TYPE_AAAA ? 16 : 0;
    const records = proxyIps.map((text) => parseIp(text)!).filter((bytes) => bytes.length === size)
      .map((data) => ({ type, ttl: TTL_SECONDS, data }));
    if (records.length > 0) {
      this.#outputs.push({ type: "assign", resourceId: resource.id, domain: name, proxyIps });
    }
    this.#replies.push({ number, bytes: encodeAnswer(query, records) });
  }

  #askSite(
    number: number,
    query: Query,
    transport: Transport,
    client: string,
    resourceId: Id,
    now: number,
  ): void {
    const servers = this.#sites.get(resourceId);
    if (servers) return this.#forward(number, query, transport, client, servers, now);
    this.#waiting.push({ number, query, transport, client, resourceId, deadline: now + CONNECT_TIMEOUT });
    this.#outputs.push({ type: "connect", resourceId });
  }

  #forward(
    number: number,
    query: Query,
    transport: Transport,
    client: string,
    servers: readonly SocketAddress[] | undefined,
    now: number,
  ): void {
    const forwarded = this.#forwarder.handleQuery(query.bytes, transport, client, now, servers);
    this.#forwarded.set(forwarded!, number);
  }

  #settle(): void {
    for (let outcome = this.#upstream.pollOutcome(); outcome; outcome = this.#upstream.pollOutcome()) {
      this.#forwarder.handleOutcome(outcome);
    }
    for (let reply = this.#forwarder.pollReply(); reply; reply = this.#forwarder.pollReply()) {
      this.#replies.push({ number: this.#forwarded.get(reply.number)!, bytes: reply.bytes });
      this.#forwarded.delete(reply.number);
    }
  }
}

/** Names without wildcards first, then the fewest wildcards, then the longest pattern. */
function bySpecificity(a: Resource, b: Resource): number {
  const wildcards = ({ pattern }: Resource) =>
    (pattern.match(/\*\*/g)?.length ?? 0) * 100 + (pattern.match(/[*?[]/g)?.length ?? 0);
  return wildcards(a) - wildcards(b) || b.pattern.length - a.pattern.length || (a.id < b.id ? -1 : 1);
}
