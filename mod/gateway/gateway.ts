/**
 * The gateway: policy over node (design §1). Portal events and packets in; packets, datagrams and portal commands
 * out. Sans-IO; `now` is monotonic milliseconds.
 *
 * What a client may reach (its *peer* in the policy) and how it is reached (its *connection* in the node) live and die
 * apart: a lost connection keeps the authorisations, since the client comes back to them (spec policy §1.8), while the
 * last authorisation to go takes the connection with it, after a goodbye.
 */
import type { RandomBytes } from "../crypto/types.ts";
import type { Connection, Node, NodeEvent } from "../node/mod.ts";
import { Fifo } from "../node/fifo.ts";
import type { FlowTracker } from "../flows/mod.ts";
import {
  buildProhibited,
  buildUnreachable,
  type Counters,
  type IpHeader,
  type Slab,
  type Transmit,
} from "../packet/mod.ts";
import {
  decodeControl,
  encodeControl,
  type GrantRequest,
  isNameOf,
  type Peer,
  type Policy,
  PolicyError,
  type PolicyEvent,
  VERDICT_CONTROL,
  VERDICT_FORWARD,
  VERDICT_REPLY_PROHIBITED,
  VERDICT_REPLY_UNREACHABLE,
} from "../policy/mod.ts";
import { rangeKey4, rangeKey6 } from "../policy/ranges.ts";
import type {
  Authorization,
  AuthorizedClient,
  GatewayCommand,
  GatewayEvent,
  GatewayInit,
  IceCredentials,
  Id,
  TunnelInterface,
} from "../portal/types.ts";
import { DataPath, type DataPathOptions, type Gate } from "./data_path.ts";
import { makeIceCredentials } from "./ice_credentials.ts";
import { type Offer, PendingOffers } from "./pending_offers.ts";
import type { Reporter } from "./reporter.ts";

export type GatewayOutput =
  | { readonly type: "portal"; readonly command: GatewayCommand }
  /** Give the TUN device these addresses. */
  | { readonly type: "interface"; readonly interface: TunnelInterface }
  | {
    readonly type: "granted";
    readonly clientId: Id;
    readonly resourceId: Id;
    readonly resource: string;
    readonly expiresAt: number | null;
  }
  /** The portal asked for something impossible; nothing was changed. No client: it was about ourselves. */
  | { readonly type: "refused"; readonly clientId: Id | undefined; readonly reason: string }
  | { readonly type: "revoked"; readonly clientId: Id; readonly resourceId: Id }
  /** Look this name up and pass what comes of it to {@link Gateway.handleResolution}. */
  | { readonly type: "resolve"; readonly domain: string }
  | { readonly type: "policy"; readonly event: PolicyEvent }
  | { readonly type: "node"; readonly event: NodeEvent };

/** What every kind of permission has. */
type AccessRequest = Pick<Authorization, "resource" | "expiresAt"> & { readonly client: { readonly id: Id } };

export interface GatewayOptions extends DataPathOptions {
  readonly policy: Policy;
  /** For the ICE credentials that nobody gives us. */
  readonly random: RandomBytes;
  /** Follows flows for the flow log; undefined: nobody wants to know. */
  readonly flows?: FlowTracker | undefined;
  /** Reports to portals that ask for it; undefined: such a wish is ignored. */
  readonly reporter?: Reporter | undefined;
}

export class Gateway implements Gate {
  readonly path: DataPath;
  readonly #node: Node;
  readonly #policy: Policy;
  readonly #loggedFlows: FlowTracker | undefined;
  readonly #reporter: Reporter | undefined;
  /** The flow log's, or the report's while one is wanted. */
  #flows: FlowTracker | undefined;
  readonly #slab: Slab;
  readonly #counters: Counters;
  readonly #random: RandomBytes;
  readonly #offers = new PendingOffers();
  readonly #outputs = new Fifo<GatewayOutput>();
  readonly #dropNoPeer: number;
  readonly #dropNotConnected: number;
  readonly #dropControl: number;
  readonly #dropOffer: number;
  #hasInterface = false;
  /** The followed flow of the packet that `route` looked at last, or -1. */
  #routedFlow = -1;

  constructor(options: GatewayOptions) {
    this.#node = options.node;
    this.#policy = options.policy;
    this.#random = options.random;
    this.#loggedFlows = this.#flows = options.flows;
    this.#reporter = options.reporter;
    this.#slab = options.slab;
    this.#counters = options.counters;
    this.path = new DataPath(options, this);
    this.#dropNoPeer = options.counters.register("drop_policy_no_peer");
    this.#dropNotConnected = options.counters.register("drop_packet_not_connected");
    this.#dropOffer = options.counters.register("gateway_offer_dropped");
    this.#dropControl = options.counters.register("drop_control_malformed");
  }

  // Portal --------------------------------------------------------------------------------------------------------

  handlePortal(event: GatewayEvent, now: number): void {
    switch (event.type) {
      case "init":
        this.#initialise(event.init, now);
        this.#endFlows("revoked", now);
        break;
      case "authorize":
        this.#authorize(event.authorization, now);
        break;
      case "connection_offered":
      case "access_offered":
        this.#consider(event.offer, now);
        break;
      case "reject_access":
        this.#offers.withdraw(event.clientId, event.resourceId);
        this.#policy.revoke(event.clientId, event.resourceId);
        this.#endFlows("revoked", now);
        this.#outputs.push({ type: "revoked", clientId: event.clientId, resourceId: event.resourceId });
        break;
      case "resource_updated":
        this.#policy.updateResource(event.resource);
        break;
      case "expiry_updated":
        this.#policy.updateExpiry(event.clientId, event.resourceId, event.expiresAt, now);
        break;
      case "relays_presence":
        this.#node.updateRelays(event.presence.disconnectedIds, event.presence.connected, now);
        break;
      case "ice_candidates":
        this.#node.addRemoteCandidates(event.clientId, event.candidates, now);
        break;
      case "invalidate_ice_candidates":
        this.#node.removeRemoteCandidates(event.clientId, event.candidates, now);
        break;
    }
    this.drain(now);
  }

  /** What came of a "resolve" output: addresses, none, or undefined when there was no outcome in time. */
  handleResolution(domain: string, addresses: readonly Uint8Array[] | undefined, now: number): void {
    this.#policy.handleResolution(domain, addresses);
    for (const offer of this.#offers.take(domain)) this.#accept(offer, addresses, now);
    this.drain(now);
  }

  /** Tells every client that we go and frees the relays (spec snownet §6.4). */
  shutdown(now: number): void {
    for (const connection of [...this.#node.connections]) this.#sayGoodbye(connection, now);
    this.#flows?.shutdown(now);
    this.#node.releaseRelays(now);
  }

  // Gate ----------------------------------------------------------------------------------------------------------

  admit(connection: Connection, header: IpHeader, offset: number, length: number, now: number): boolean {
    const peer = connection.owner as Peer | undefined;
    if (peer === undefined) {
      this.#counters.add(this.#dropNoPeer);
      return false;
    }
    // Behind a proxy address is a name; the translation overwrites it.
    const proxy = header.version === 4 ? rangeKey4(header.dst0) : rangeKey6(header.dst3);
    const verdict = this.#policy.outbound(peer, header, offset, length, now);
    if (verdict === VERDICT_FORWARD) {
      if (this.#flows !== undefined) this.#noteSent(this.#flows, peer, header, proxy, now);
      return true;
    }
    if (verdict === VERDICT_CONTROL) this.#handleControl(connection, peer, offset, length, now);
    else if (verdict === VERDICT_REPLY_PROHIBITED) {
      if (this.#reporter?.isWanted) this.#reporter.noteDenied(peer, header, now);
      this.#reply(connection, buildProhibited(this.#slab.bytes.subarray(offset, offset + length)), now);
    } else if (verdict === VERDICT_REPLY_UNREACHABLE) {
      this.#reply(connection, buildUnreachable(this.#slab.bytes.subarray(offset, offset + length)), now);
    }
    return false;
  }

  route(header: IpHeader, offset: number, length: number, now: number): Connection | undefined {
    this.#routedFlow = this.#flows === undefined ? -1 : this.#flows.find(header);
    const peer = this.#policy.inbound(header, offset, length, now);
    if (peer === undefined) return undefined;
    const connection = peer.connection as Connection | undefined;
    if (connection === undefined) this.#counters.add(this.#dropNotConnected);
    return connection;
  }

  carried(header: IpHeader, packets: number, now: number): void {
    if (this.#routedFlow >= 0) this.#flows!.answered(this.#routedFlow, header, packets, now);
  }

  /** See `Node.networkChanged`. */
  networkChanged(now: number): void {
    this.#node.networkChanged(now);
    this.drain(now);
  }

  // Time and output -----------------------------------------------------------------------------------------------

  handleTimeout(now: number): void {
    this.#node.handleTimeout(now);
    this.#policy.handleTimeout(now);
    this.#flows?.handleTimeout(now);
    this.#report(now);
    this.drain(now);
  }

  pollTimeout(): number | undefined {
    const next = Math.min(
      this.#node.pollTimeout() ?? Infinity,
      this.#policy.pollTimeout() ?? Infinity,
      this.#flows?.pollTimeout() ?? Infinity,
      this.#reporter?.nextAt ?? Infinity,
    );
    return next === Infinity ? undefined : next;
  }

  /** Acts on what packets have caused. Call after a batch of them; cheap when there is nothing. */
  drain(now: number): void {
    let accessEnded = false;
    for (let event = this.#policy.pollEvent(); event; event = this.#policy.pollEvent()) {
      if (event.type === "control") {
        const connection = event.peer.connection as Connection | undefined;
        if (connection) this.path.send(connection, event.packet, now);
        continue;
      }
      accessEnded ||= event.type === "access-expired" || event.type === "peer-removed";
      if (event.type === "peer-removed") {
        // Not of a client that was granted something again before this was read.
        const connection = this.#node.connection(event.clientId);
        if (connection && connection.owner === event.peer) this.#sayGoodbye(connection, now);
      }
      this.#outputs.push(event.type === "resolve" ? event : { type: "policy", event });
    }
    if (accessEnded) this.#endFlows("revoked", now);
    for (let event = this.#node.pollEvent(); event; event = this.#node.pollEvent()) {
      this.#handleNode(event);
    }
  }

  pollTransmit(): Transmit | undefined {
    return this.#node.pollTransmit();
  }

  pollOutput(): GatewayOutput | undefined {
    return this.#outputs.shift();
  }

  // Internals -----------------------------------------------------------------------------------------------------

  #initialise(init: GatewayInit, now: number): void {
    this.#node.updateRelays([], init.relays, now);
    this.#policy.reconcile(init.authorizations, now);
    this.#routedFlow = -1;
    if (this.#reporter) {
      this.#flows = this.#reporter.request(init.reportIntervalSecs, this.#loggedFlows, now);
    }
    if (init.authorizations) this.#offers.keepOnly(init.authorizations);
    try {
      this.#policy.setInterface(init.interface);
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      this.#outputs.push({ type: "refused", clientId: undefined, reason: error.message });
      return;
    }
    this.#hasInterface = true;
    this.#outputs.push({ type: "interface", interface: init.interface });
  }

  #authorize({ ref, clientIce, gatewayIce, ...request }: Authorization, now: number): void {
    const peer = this.#connect(request, gatewayIce, clientIce, now);
    // The confirmation must overtake the candidates that the upsert has caused (spec portal §4.1).
    if (peer) this.#confirm(request, { type: "authorized", ref });
  }

  #report(now: number): void {
    if (!this.#reporter || now < this.#reporter.nextAt) return;
    const report = this.#reporter.take(this.#node.status(), now);
    this.#outputs.push({ type: "portal", command: { type: "report", report } });
  }

  /** An offer of an old client: it is accepted when the name that it is about is resolved. */
  #consider(offer: Offer, now: number): void {
    const { name } = offer;
    if (name === undefined) return this.#accept(offer, [], now);
    if (!isNameOf(offer.resource, name.domain)) return this.#accept(offer, [], now);
    if (this.#offers.add(name.domain, offer)) this.#outputs.push({ type: "resolve", domain: name.domain });
    else this.#counters.add(this.#dropOffer);
  }

  /** @param addresses undefined: the name could not be looked up. Then a new connection is not accepted. */
  #accept(offer: Offer, addresses: readonly Uint8Array[] | undefined, now: number): void {
    if (!this.#hasInterface || ("ref" in offer && addresses === undefined)) return;
    const ice = makeIceCredentials(this.#random);
    const peer = "ref" in offer ? this.#connect(offer, ice, offer.clientIce, now) : this.#grant(offer, now);
    if (!peer) return;
    const { client, resource, name } = offer;
    if (name) this.#policy.setupNat(peer, resource.id, name.domain, addresses ?? [], name.proxyIps);
    if ("ref" in offer) return this.#confirm(offer, { type: "accepted", ref: offer.ref, ice });
    const connection = this.#node.connection(client.id);
    if (connection) connection.owner = peer;
    peer.connection = connection;
    this.#confirm(offer, undefined);
  }

  /** Makes or keeps the connection and gives access; undefined when that is impossible, and nothing was changed. */
  #connect(
    request: GrantRequest & { readonly client: AuthorizedClient },
    local: IceCredentials,
    remote: IceCredentials,
    now: number,
  ): Peer | undefined {
    // Packets to and from this client need our own tunnel addresses, which come with `init`.
    if (!this.#hasInterface) return undefined;
    const { id, publicKey, presharedKey } = request.client;
    const existing = this.#node.connection(id);
    const connection = this.#node.upsert({ peerId: id, publicKey, presharedKey, local, remote }, now);
    if (!connection) return undefined;
    const peer = this.#grant(request, now);
    if (!peer) {
      // A connection that serves other resources stays.
      if (connection !== existing) this.#disconnect(id);
      return undefined;
    }
    connection.owner = peer;
    peer.connection = connection;
    return peer;
  }

  #confirm({ client, resource, expiresAt }: AccessRequest, command: GatewayCommand | undefined): void {
    if (command) this.#outputs.push({ type: "portal", command });
    const name = resource.type === "internet" ? "Internet" : resource.name;
    this.#outputs.push({
      type: "granted",
      clientId: client.id,
      resourceId: resource.id,
      resource: name,
      expiresAt,
    });
  }

  /** Undefined (and said) when the portal asks for something impossible; nothing was changed then. */
  #grant(request: GrantRequest, now: number): Peer | undefined {
    try {
      return this.#policy.grant(request, now);
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      this.#outputs.push({ type: "refused", clientId: request.client.id, reason: error.message });
      return undefined;
    }
  }

  #handleControl(connection: Connection, peer: Peer, offset: number, length: number, now: number): void {
    const message = decodeControl(this.#slab.bytes.subarray(offset, offset + length));
    if (message?.type === "goodbye") {
      this.#policy.removePeer(peer.clientId);
      this.#endFlows("goodbye", now);
      this.#node.close(connection.peerId);
    } else if (message?.type === "assigned-ips") {
      this.#policy.handleAssignedIps(peer, message);
    } else {
      this.#counters.add(this.#dropControl);
    }
  }

  /** Beside the hot path: packets to our own address belong to no resource, and few begin a flow. */
  #noteSent(flows: FlowTracker, peer: Peer, header: IpHeader, proxy: number, now: number): void {
    const resource = this.#policy.matched?.resource;
    if (resource === undefined || flows.sent(header, peer.clientId, resource.id, now)) return;
    flows.start(header, {
      clientId: peer.clientId,
      resourceId: resource.id,
      resourceName: resource.type === "internet" ? "Internet" : resource.name ?? "",
      domain: resource.type === "dns" ? peer.translations.find(proxy)?.domain : undefined,
    }, now);
  }

  /** Ends the flows whose client has lost the resource. */
  #endFlows(end: "revoked" | "goodbye", now: number): void {
    this.#flows?.closeUnless(
      (clientId, resourceId) => this.#policy.peerById(clientId)?.grants.has(resourceId) ?? false,
      end,
      now,
    );
  }

  #reply(connection: Connection, packet: Uint8Array | undefined, now: number): void {
    if (packet) this.path.send(connection, packet, now);
  }

  #sayGoodbye(connection: Connection, now: number): void {
    this.path.send(connection, encodeControl({ type: "goodbye" }), now);
    this.#node.close(connection.peerId);
    const peer = connection.owner as Peer | undefined;
    if (peer) peer.connection = undefined;
  }

  /** Ends the connection of a client, if there is one; what it is allowed stays. */
  #disconnect(clientId: Id): void {
    this.#node.close(clientId);
    const peer = this.#policy.peerById(clientId);
    if (peer) peer.connection = undefined;
  }

  #handleNode(event: NodeEvent): void {
    if (event.type === "candidates") {
      const { peerId: clientId, candidates } = event;
      this.#outputs.push({ type: "portal", command: { type: "candidates", clientId, candidates } });
    } else if (event.type === "invalid-candidates") {
      const { peerId: clientId, candidates } = event;
      this.#outputs.push({
        type: "portal",
        command: { type: "invalidated_candidates", clientId, candidates },
      });
    } else if (event.type === "no-relays") {
      this.#outputs.push({ type: "portal", command: { type: "no_relays" } });
    } else {
      if (event.type === "failed") {
        this.#disconnect(event.peerId);
      }
      this.#outputs.push({ type: "node", event });
    }
  }
}
