/**
 * The lab client: what a stock Firezone client does on the wire, on the same core as the gateway, in the controlling
 * role. Tests, the demo and the benches see the world through it (spec portal §4, design §7). Sans-IO.
 *
 * A packet to a resource without a flow asks the portal for one (at most every 2 s while traffic goes on) and waits,
 * up to a bound; the grant opens or reuses the connection to a gateway, and once the tunnel is up the packets follow.
 * Packets to a proxy address wait, in addition, until the gateway knows what name it stands for.
 */
import { DataPath, type DataPathOptions, type Gate } from "../../gateway/data_path.ts";
import type { Connection, Node, NodeEvent } from "../../node/mod.ts";
import { Fifo } from "../../node/fifo.ts";
import type { Counters, IpHeader, Slab, Transmit } from "../../packet/mod.ts";
import { CONTROL_PROTOCOL, decodeControl, encodeControl } from "../../policy/control_packet.ts";
import { isTunnel4, isTunnel6, rangeKey4, rangeKey6 } from "../../policy/ranges.ts";
import type {
  ClientCommand,
  ClientEvent,
  ClientInterface,
  ClientResource,
  FlowCreated,
  Id,
  TunnelInterface,
} from "../../portal/types.ts";
import type { NameReply, NameRequest } from "../../runtime/messages.ts";
import { type Assignment, Assignments, isDue, isProxyDestination } from "./assignments.ts";
import { RouteTable } from "./route_table.ts";

const REQUEST_INTERVAL = 2_000;
/** Packets kept per gateway or resource while a flow comes about. */
const MAX_WAITING = 32;
const VNET_HEADER = 10;

export type ClientOutput =
  | { readonly type: "portal"; readonly command: ClientCommand }
  /** Tunnel addresses and the networks to route into the tunnel. */
  | {
    readonly type: "interface";
    readonly interface: TunnelInterface;
    readonly resources: readonly ClientResource[];
  }
  | { readonly type: "names"; readonly request: NameRequest }
  | { readonly type: "flow"; readonly resourceId: Id; readonly gatewayId: Id }
  | { readonly type: "refused"; readonly resourceId: Id; readonly reason: string }
  | { readonly type: "node"; readonly event: NodeEvent };

interface Flow {
  gatewayId: Id | undefined;
  requestedAt: number | undefined;
  readonly waiting: Uint8Array[];
}

export interface ClientOptions extends Omit<DataPathOptions, "node"> {
  readonly node: Node;
}

export class Client implements Gate {
  readonly path: DataPath;
  readonly #node: Node;
  readonly #slab: Slab;
  readonly #counters: Counters;
  readonly #outputs = new Fifo<ClientOutput>();
  readonly #resources = new Map<Id, ClientResource>();
  readonly #flows = new Map<Id, Flow>();
  readonly #routes = new RouteTable();
  readonly #assignments = new Assignments();
  /** Gateways by their tunnel addresses. */
  readonly #gateways = new Map<number, Id>();
  readonly #scratch: number;
  readonly #dropNoRoute: number;
  readonly #dropWaiting: number;
  readonly #dropNotOurs: number;
  #interface: ClientInterface | undefined;
  #ownV4 = 0;
  readonly #ownV6 = new Uint32Array(4);

  constructor(options: ClientOptions) {
    this.#node = options.node;
    this.#slab = options.slab;
    this.#counters = options.counters;
    this.path = new DataPath(options, this);
    this.#scratch = options.slab.reserve(65536 + VNET_HEADER);
    this.#dropNoRoute = options.counters.register("drop_client_no_resource");
    this.#dropWaiting = options.counters.register("drop_client_too_many_waiting");
    this.#dropNotOurs = options.counters.register("drop_client_not_our_address");
  }

  // Portal --------------------------------------------------------------------------------------------------------

  handlePortal(event: ClientEvent, now: number): void {
    switch (event.type) {
      case "init":
        this.#setInterface(event.init.interface);
        this.#setResources(event.init.resources);
        this.#node.updateRelays([], event.init.relays, now);
        break;
      case "config_changed":
        this.#setInterface(event.interface);
        this.#announceInterface();
        break;
      case "resource_upserted":
        this.#resources.set(event.resource.id, event.resource);
        this.#announceInterface();
        break;
      case "resource_deleted":
        this.#resources.delete(event.resourceId);
        this.#forgetFlow(event.resourceId);
        this.#announceInterface();
        break;
      case "flow_created":
        this.#openFlow(event.flow, now);
        break;
      case "flow_failed": {
        const { resourceId, reason } = event.failure;
        const flow = this.#flows.get(resourceId);
        if (flow) flow.waiting.length = 0;
        for (const assignment of this.#assignments.ofResource(resourceId)) assignment.waiting.length = 0;
        this.#outputs.push({ type: "refused", resourceId, reason });
        break;
      }
      case "relays_presence":
        this.#node.updateRelays(event.presence.disconnectedIds, event.presence.connected, now);
        break;
      case "ice_candidates":
        this.#node.addRemoteCandidates(event.gatewayId, event.candidates, now);
        break;
      case "invalidate_ice_candidates":
        this.#node.removeRemoteCandidates(event.gatewayId, event.candidates, now);
        break;
    }
    this.drain(now);
  }

  // Names ---------------------------------------------------------------------------------------------------------

  /** From the name service: a name was asked for, or a gateway is. */
  handleNames(reply: NameReply, now: number): void {
    if (reply.type === "resolved" || !this.#resources.has(reply.resourceId)) return;
    const flow = this.#flow(reply.resourceId);
    const connection = flow.gatewayId === undefined ? undefined : this.#node.connection(flow.gatewayId);
    if (reply.type === "connect") {
      if (flow.gatewayId === undefined) this.#request(reply.resourceId, flow, now);
      return;
    }
    const assignment = this.#assignments.set(reply.resourceId, reply.domain, reply.proxyIps);
    if (connection?.isEstablished) this.#tell(assignment, connection, now);
  }

  // Gate ----------------------------------------------------------------------------------------------------------

  admit(connection: Connection, header: IpHeader, offset: number, length: number, now: number): boolean {
    if (header.version === 6 && header.protocol === CONTROL_PROTOCOL) {
      const message = decodeControl(this.#slab.bytes.subarray(offset, offset + length));
      if (message?.type === "goodbye") this.#forgetGateway(connection.peerId);
      else if (message?.type === "domain-status") {
        const assignment = this.#assignments.find(message.resource, message.domain);
        if (assignment?.gatewayId === connection.peerId) this.#settle(assignment, connection, now);
      }
      return false;
    }
    const isOurs = header.version === 4
      ? header.dst0 === this.#ownV4
      : header.dst0 === this.#ownV6[0] && header.dst1 === this.#ownV6[1] && header.dst2 === this.#ownV6[2] &&
        header.dst3 === this.#ownV6[3];
    if (!isOurs) this.#counters.add(this.#dropNotOurs);
    return isOurs;
  }

  route(header: IpHeader, offset: number, length: number, now: number): Connection | undefined {
    const isProxy = isProxyDestination(header);
    const assignment = isProxy ? this.#assignments.ofDestination(header) : undefined;
    const id = isProxy ? assignment?.resourceId : this.#resourceOf(header);
    if (id === undefined) {
      this.#counters.add(this.#dropNoRoute);
      return undefined;
    }
    const flow = this.#flow(id);
    const connection = flow.gatewayId === undefined ? undefined : this.#node.connection(flow.gatewayId);
    if (connection?.isEstablished) {
      if (!assignment || (assignment.isSettled && assignment.gatewayId === connection.peerId)) {
        return connection;
      }
      this.#tell(assignment, connection, now);
    }
    this.#wait(assignment ? assignment.waiting : flow.waiting, offset, length);
    if (flow.gatewayId === undefined) this.#request(id, flow, now);
    return undefined;
  }

  /** See `Node.networkChanged`. */
  networkChanged(now: number): void {
    this.#node.networkChanged(now);
    this.drain(now);
  }

  // Time and output -----------------------------------------------------------------------------------------------

  handleTimeout(now: number): void {
    this.#node.handleTimeout(now);
    this.drain(now);
  }

  pollTimeout(): number | undefined {
    return this.#node.pollTimeout();
  }

  /** Acts on what packets have caused. Call after a batch of them; cheap when there is nothing. */
  drain(now: number): void {
    for (let event = this.#node.pollEvent(); event; event = this.#node.pollEvent()) {
      if (event.type === "candidates") {
        const { peerId: gatewayId, candidates } = event;
        this.#outputs.push({ type: "portal", command: { type: "candidates", gatewayId, candidates } });
      } else if (event.type === "invalid-candidates") {
        const { peerId: gatewayId, candidates } = event;
        this.#outputs.push({
          type: "portal",
          command: { type: "invalidated_candidates", gatewayId, candidates },
        });
      } else if (event.type === "no-relays") {
        this.#outputs.push({ type: "portal", command: { type: "no_relays" } });
      } else {
        if (event.type === "failed") this.#forgetFlows(event.peerId);
        if (event.type === "established") {
          const connection = this.#node.connection(event.peerId);
          if (connection) this.#release(connection, now);
        }
        this.#outputs.push({ type: "node", event });
      }
    }
  }

  pollTransmit(): Transmit | undefined {
    return this.#node.pollTransmit();
  }

  pollOutput(): ClientOutput | undefined {
    return this.#outputs.shift();
  }

  /** Tells every gateway that we go, and frees the relays. */
  shutdown(now: number): void {
    for (const connection of [...this.#node.connections]) {
      this.path.send(connection, encodeControl({ type: "goodbye" }), now);
      this.#node.close(connection.peerId);
    }
    this.#node.releaseRelays(now);
  }

  #setInterface(tunnel: ClientInterface): void {
    this.#interface = tunnel;
    this.#ownV4 = new DataView(tunnel.ipv4.buffer, tunnel.ipv4.byteOffset).getUint32(0);
    const v6 = new DataView(tunnel.ipv6.buffer, tunnel.ipv6.byteOffset);
    for (let w = 0; w < 4; w++) this.#ownV6[w] = v6.getUint32(4 * w);
  }

  #setResources(resources: readonly ClientResource[]): void {
    this.#resources.clear();
    for (const resource of resources) this.#resources.set(resource.id, resource);
    for (const id of this.#flows.keys()) if (!this.#resources.has(id)) this.#forgetFlow(id);
    this.#announceInterface();
  }

  #announceInterface(): void {
    this.#routes.set(this.#resources.values());
    if (!this.#interface) return;
    this.#outputs.push({
      type: "interface",
      interface: this.#interface,
      resources: [...this.#resources.values()],
    });
    const request: NameRequest = {
      type: "resources",
      resources: [...this.#resources.values()].flatMap(({ id, pattern, ipStack }) =>
        pattern === undefined ? [] : [{ id, pattern, ipStack }]
      ),
      nameservers: this.#interface.upstreamDns,
    };
    this.#outputs.push({ type: "names", request });
  }

  /** A gateway's own tunnel address belongs to any resource that it serves. */
  #resourceOf({ version, dst0, dst1, dst2, dst3 }: IpHeader): Id | undefined {
    const key = version === 4
      ? (isTunnel4(dst0) ? rangeKey4(dst0) : -1)
      : (isTunnel6(dst0, dst1, dst2, dst3) ? rangeKey6(dst3) : -1);
    const gatewayId = key < 0 ? undefined : this.#gateways.get(key);
    if (gatewayId === undefined) return this.#routes.lookup(version, dst0, dst1, dst2, dst3);
    for (const [id, flow] of this.#flows) if (flow.gatewayId === gatewayId) return id;
    return undefined;
  }

  #flow(resourceId: Id): Flow {
    const known = this.#flows.get(resourceId);
    if (known) return known;
    const flow = { gatewayId: undefined, requestedAt: undefined, waiting: [] };
    this.#flows.set(resourceId, flow);
    return flow;
  }

  #request(resourceId: Id, flow: Flow, now: number): void {
    if (flow.requestedAt !== undefined && now < flow.requestedAt + REQUEST_INTERVAL) return;
    flow.requestedAt = now;
    const connectedGatewayIds = [...this.#node.connections].map((c) => c.peerId);
    this.#outputs.push({ type: "portal", command: { type: "request", resourceId, connectedGatewayIds } });
  }

  #openFlow(created: FlowCreated, now: number): void {
    const { resourceId, gatewayId } = created;
    if (!this.#resources.has(resourceId)) return;
    const connection = this.#node.upsert({
      peerId: gatewayId,
      publicKey: created.gatewayPublicKey,
      presharedKey: created.presharedKey,
      local: created.clientIce,
      remote: created.gatewayIce,
    }, now);
    if (!connection) return;
    this.#flow(resourceId).gatewayId = gatewayId;
    this.#gateways.set(rangeKey4(lastWord(created.gatewayIpv4)), gatewayId);
    this.#gateways.set(rangeKey6(lastWord(created.gatewayIpv6)), gatewayId);
    this.#outputs.push({ type: "flow", resourceId, gatewayId });
    this.#announceSite(resourceId, { ipv4: created.gatewayIpv4, ipv6: created.gatewayIpv6 });
    if (connection.isEstablished) this.#release(connection, now);
  }

  #announceSite(resourceId: Id, gateway: TunnelInterface | undefined): void {
    if (this.#resources.get(resourceId)?.type !== "dns") return;
    this.#outputs.push({ type: "names", request: { type: "site", resourceId, gateway } });
  }

  /** Says to the gateway what the proxy addresses stand for, unless it has just been told. */
  #tell(assignment: Assignment, connection: Connection, now: number): void {
    if (!isDue(assignment, connection.peerId, now)) return;
    const { resourceId, domain, proxyIps, gatewayId } = assignment;
    if (gatewayId !== connection.peerId) assignment.isSettled = false;
    assignment.gatewayId = connection.peerId;
    assignment.toldAt = now;
    const packet = encodeControl({ type: "assigned-ips", resource: resourceId, domain, proxyIps });
    this.path.send(connection, packet, now);
  }

  /** The gateway knows the name, or says that it may not: either way packets go and are answered. */
  #settle(assignment: Assignment, connection: Connection, now: number): void {
    assignment.isSettled = true;
    this.#forward(assignment.waiting, connection, now);
  }

  #wait(waiting: Uint8Array[], offset: number, length: number): void {
    if (waiting.length >= MAX_WAITING) return this.#counters.add(this.#dropWaiting);
    waiting.push(this.#slab.bytes.slice(offset - VNET_HEADER, offset + length));
  }

  /** Sends what waited for this gateway. */
  #release(connection: Connection, now: number): void {
    for (const [id, flow] of this.#flows) {
      if (flow.gatewayId !== connection.peerId) continue;
      this.#forward(flow.waiting, connection, now);
      for (const assignment of this.#assignments.ofResource(id)) this.#tell(assignment, connection, now);
    }
  }

  #forward(waiting: Uint8Array[], connection: Connection, now: number): void {
    for (const packet of waiting.splice(0)) {
      this.#slab.bytes.set(packet, this.#scratch);
      this.path.forward(connection, this.#scratch, packet.length, 0, now);
    }
  }

  #forgetGateway(gatewayId: Id): void {
    this.#node.close(gatewayId);
    this.#forgetFlows(gatewayId);
  }

  #forgetFlows(gatewayId: Id): void {
    this.#assignments.forgetGateway(gatewayId);
    for (const [id, flow] of this.#flows) if (flow.gatewayId === gatewayId) this.#forgetFlow(id);
  }

  #forgetFlow(resourceId: Id): void {
    this.#flows.delete(resourceId);
    this.#announceSite(resourceId, undefined);
  }
}

function lastWord(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(bytes.length - 4);
}
