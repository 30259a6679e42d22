/**
 * A client and a gateway, whole cores, on one wire with the embedded relay, in virtual time.
 *
 *     client 192.0.2.10 ──┐
 *                         ├── wire (direct traffic may be cut) ── relay 192.0.2.1:3478
 *     gateway 192.0.2.20 ─┘
 *
 * The portal between them is this file: it derives credentials like a portal and passes candidates on.
 */
import { NobleAead } from "../../mod/crypto/mod.ts";
import type { Aead } from "../../mod/crypto/types.ts";
import { Client, type ClientOutput } from "../../mod/embedded/client/client.ts";
import { relayCredentials } from "../../mod/embedded/relay/mod.ts";
import { FlowTracker } from "../../mod/flows/mod.ts";
import { Gateway, type GatewayOutput, Reporter } from "../../mod/gateway/mod.ts";
import { parseIp, type Slab, SocketAddress } from "../../mod/packet/mod.ts";
import { Policy } from "../../mod/policy/mod.ts";
import type {
  CidrResource,
  ClientResource,
  DnsResource,
  Filter,
  GatewayCommand,
  Relay,
} from "../../mod/portal/types.ts";
import { RELAY_V4, RelayHarness, STAMP_SECRET, UNIX_NOW } from "../embedded/relay_harness.ts";
import { End } from "./end.ts";

export const CLIENT_ID = "11111111-1111-4111-8111-111111111111";
export const GATEWAY_ID = "22222222-2222-4222-8222-222222222222";
export const RELAY_ID = "33333333-3333-4333-8333-333333333333";
export const RESOURCE_ID = "44444444-4444-4444-8444-444444444444";
export const CLIENT_TUNNEL = { ipv4: parseIp("100.64.0.5")!, ipv6: parseIp("fd00:2021:1111::5")! };
export const GATEWAY_TUNNEL = { ipv4: parseIp("100.64.0.1")!, ipv6: parseIp("fd00:2021:1111::1")! };
export const CLIENT_SOCKET = SocketAddress.of("192.0.2.10", 52625)!;
export const GATEWAY_SOCKET = SocketAddress.of("192.0.2.20", 52625)!;
const RELAY_SOCKET = SocketAddress.of(RELAY_V4, 3478)!;

/** A name behind the gateway, for {@link openName}. */
export const DOMAIN = "app.example.com", PROXY = "100.96.0.1", REAL = "172.20.0.100";
const NAME_ID = "77777777-7777-4777-8777-777777777777";

/** Gives the client a DNS resource whose proxy address is already mapped. */
export function openName({ policy, now }: Duo): void {
  const resource = { type: "dns", id: NAME_ID, name: "App", address: "*.example.com", filters: [] } as const;
  const peer = policy.grant({ client: { id: CLIENT_ID, ...CLIENT_TUNNEL }, resource, expiresAt: null }, now);
  policy.setupNat(peer, NAME_ID, DOMAIN, [parseIp(REAL)!], [parseIp(PROXY)!]);
}

interface Datagram {
  readonly src: SocketAddress;
  readonly dst: SocketAddress;
  readonly payload: Uint8Array;
  readonly ecn: number;
}

export interface DuoOptions {
  readonly direct?: boolean;
  readonly filters?: readonly Filter[];
  readonly seed?: number;
  /** The gateway follows flows. */
  readonly flows?: boolean;
  /** The resource is a DNS resource of this pattern instead of a network. */
  readonly pattern?: string;
  /** The cipher of both ends; noble by default. */
  readonly aead?: (slab: Slab) => Aead;
}

export class Duo {
  now = 1000;
  /** False: datagrams between client and gateway are lost, so that only the relay works. */
  direct: boolean;
  /** True: everything to and from the relay is lost. */
  relayIsDown = false;
  /** True: the wire marks every datagram as having met congestion. */
  congested = false;
  readonly relay = new RelayHarness({ families: [4] });
  readonly clientEnd: End;
  readonly gatewayEnd: End;
  readonly client: Client;
  readonly policy: Policy;
  readonly flows: FlowTracker | undefined;
  readonly gateway: Gateway;
  /** What came out of each side's TUN since the last look. */
  readonly atGateway: Uint8Array[] = [];
  readonly atClient: Uint8Array[] = [];
  readonly outputs: GatewayOutput[] = [];
  /** What the client said, but to the portal. */
  readonly clientOutputs: ClientOutput[] = [];
  /** Everything that the gateway told the portal. */
  readonly commands: GatewayCommand[] = [];
  /** Trackers that were made for reports. */
  madeFlows = 0;
  /** Everything that crossed the wire, for a look at sizes and ECN. */
  readonly wire: Datagram[] = [];
  readonly #filters: readonly Filter[];
  readonly #pattern: string | undefined;
  readonly #inFlight: Datagram[] = [];

  constructor(options: DuoOptions = {}) {
    const { direct = true, filters = [], seed = 1, aead = (slab: Slab) => new NobleAead(slab) } = options;
    this.direct = direct;
    this.#filters = filters;
    this.#pattern = options.pattern;
    this.clientEnd = new End("client", seed, () => this.now, aead);
    this.gatewayEnd = new End("gateway", seed + 1000, () => this.now, aead);
    this.client = new Client(this.clientEnd);
    this.policy = new Policy({
      slab: this.gatewayEnd.slab,
      counters: this.gatewayEnd.counters,
      unixNow: () => UNIX_NOW * 1000 + this.now,
      seed: 7,
    });
    const { slab, counters } = this.gatewayEnd;
    const unixNow = () => UNIX_NOW * 1000 + this.now;
    this.flows = options.flows ? new FlowTracker({ slab, counters, unixNow, seed: 8 }) : undefined;
    this.gateway = new Gateway({
      ...this.gatewayEnd,
      policy: this.policy,
      flows: this.flows,
      reporter: new Reporter({
        version: "1.2.3",
        startedAt: this.now,
        unixNow,
        makeFlows: () => {
          this.madeFlows++;
          return new FlowTracker({ slab, counters, unixNow, seed: 9, keepsRecords: false });
        },
      }),
    });
    this.initialise();
  }

  /** What the portal sends after a join, to both. */
  initialise(reportIntervalSecs?: number): void {
    this.gateway.handlePortal({
      type: "init",
      init: {
        interface: GATEWAY_TUNNEL,
        relays: [this.relayFor(this.gatewayEnd)],
        accountSlug: undefined,
        authorizations: undefined,
        ...(reportIntervalSecs !== undefined && { reportIntervalSecs }),
      },
    }, this.now);
    this.client.handlePortal({
      type: "init",
      init: {
        interface: { ...CLIENT_TUNNEL, upstreamDns: [], searchDomain: undefined },
        relays: [this.relayFor(this.clientEnd)],
        resources: [this.#clientResource()],
      },
    }, this.now);
  }

  relayFor(end: End): Relay {
    const expiresAt = UNIX_NOW + 86400;
    const credentials = relayCredentials({
      publicKey: end.publicKey.toBase64(),
      stampSecret: STAMP_SECRET,
      expiresAt,
    });
    return { id: RELAY_ID, v4: RELAY_SOCKET, ...credentials, expiresAt };
  }

  fromClient(packet: Uint8Array, vnet?: Uint8Array): void {
    this.client.path.handleTunPacket(...this.clientEnd.placePacket(packet, vnet), this.now);
    this.settle();
  }

  fromGateway(packet: Uint8Array, vnet?: Uint8Array): void {
    this.gateway.path.handleTunPacket(...this.gatewayEnd.placePacket(packet, vnet), this.now);
    this.settle();
  }

  /** Lets time pass, timer by timer. */
  advance(ms: number): void {
    const end = this.now + ms;
    this.settle();
    for (let guard = 0; guard < 100_000; guard++) {
      const due = Math.min(this.client.pollTimeout() ?? Infinity, this.gateway.pollTimeout() ?? Infinity);
      if (due > end) break;
      this.now = Math.max(this.now, due);
      this.client.handleTimeout(this.now);
      this.gateway.handleTimeout(this.now);
      this.settle();
    }
    this.now = end;
  }

  /** Carries everything that is on the wire or between the portal and the two, until nothing moves. */
  settle(): void {
    for (let guard = 0; guard < 10_000; guard++) {
      this.#collect();
      const datagram = this.#inFlight.shift();
      if (datagram) this.#deliver(datagram);
      else if (!this.#runPortal()) return;
    }
    throw new Error("The wire never falls silent.");
  }

  #collect(): void {
    const ends = [[this.client, this.clientEnd, CLIENT_SOCKET], [
      this.gateway,
      this.gatewayEnd,
      GATEWAY_SOCKET,
    ]] as const;
    for (const [core, end, socket] of ends) {
      core.drain(this.now);
      for (let t = core.pollTransmit(); t; t = core.pollTransmit()) end.transmits.pushDatagram(t);
      this.#inFlight.push(...end.takeDatagrams().map((out) => ({ ...out, src: out.src ?? socket })));
    }
    this.atGateway.push(...this.gatewayEnd.takePackets());
    this.atClient.push(...this.clientEnd.takePackets());
  }

  #deliver(datagram: Datagram): void {
    this.wire.push(datagram);
    const { src, dst, payload } = datagram;
    const ecn = this.congested ? 3 : datagram.ecn;
    if (dst.ip === RELAY_V4) {
      if (this.relayIsDown) return;
      const sent = dst.port === 3478
        ? this.relay.fromClient(src, [payload], this.now, ecn)
        : this.relay.fromPeer(src, dst.port, [payload], this.now, ecn);
      for (const s of sent) {
        const from = SocketAddress.of(RELAY_V4, s.port)!;
        this.#inFlight.push({ src: from, dst: s.dst, payload: s.payload, ecn: s.ecn });
      }
    } else if (src.ip !== RELAY_V4 && !this.direct) {
      return;
    } else if (dst.equals(CLIENT_SOCKET)) {
      const [offset, length, from, local] = this.clientEnd.place(datagram);
      this.client.path.handleDatagrams(offset, length, length, ecn, from, local, this.now);
    } else if (dst.equals(GATEWAY_SOCKET)) {
      const [offset, length, from, local] = this.gatewayEnd.place(datagram);
      this.gateway.path.handleDatagrams(offset, length, length, ecn, from, local, this.now);
    }
  }

  /** Passes on one thing that somebody told the portal; false when nobody has anything to say. */
  #runPortal(): boolean {
    const fromClient = this.client.pollOutput();
    if (fromClient?.type === "portal") {
      const { command } = fromClient;
      if (command.type === "request") this.authorize();
      else if (command.type === "candidates") {
        const { candidates } = command;
        this.gateway.handlePortal({ type: "ice_candidates", clientId: CLIENT_ID, candidates }, this.now);
      }
    } else if (fromClient) this.clientOutputs.push(fromClient);
    if (fromClient) return true;
    const output = this.gateway.pollOutput();
    if (!output) return false;
    if (output.type === "portal") this.#handleGateway(output.command);
    else this.outputs.push(output);
    return true;
  }

  #handleGateway(command: GatewayCommand): void {
    this.commands.push(command);
    if (command.type === "authorized") {
      this.client.handlePortal({
        type: "flow_created",
        flow: {
          resourceId: RESOURCE_ID,
          gatewayId: GATEWAY_ID,
          siteId: RELAY_ID,
          gatewayPublicKey: this.gatewayEnd.publicKey,
          gatewayIpv4: GATEWAY_TUNNEL.ipv4,
          gatewayIpv6: GATEWAY_TUNNEL.ipv6,
          presharedKey: new Uint8Array(32).fill(9),
          clientIce: { ufrag: "clnt", password: "client-password-000000" },
          gatewayIce: { ufrag: "gtwy", password: "gateway-password-00000" },
        },
      }, this.now);
    } else if (command.type === "candidates") {
      const { candidates } = command;
      this.client.handlePortal({ type: "ice_candidates", gatewayId: GATEWAY_ID, candidates }, this.now);
    }
  }

  /** The portal's authorisation of the client for the resource. */
  authorize(expiresAt: number | null = null, resource = this.resource()): void {
    this.gateway.handlePortal({
      type: "authorize",
      authorization: {
        ref: "ref",
        resource,
        client: {
          id: CLIENT_ID,
          publicKey: this.clientEnd.publicKey,
          presharedKey: new Uint8Array(32).fill(9),
          ...CLIENT_TUNNEL,
        },
        clientIce: { ufrag: "clnt", password: "client-password-000000" },
        gatewayIce: { ufrag: "gtwy", password: "gateway-password-00000" },
        expiresAt,
      },
    }, this.now);
  }

  resource(): CidrResource | DnsResource {
    if (this.#pattern !== undefined) {
      return { type: "dns", id: RESOURCE_ID, name: "App", address: this.#pattern, filters: this.#filters };
    }
    return {
      type: "cidr",
      id: RESOURCE_ID,
      name: "LAN",
      address: { ip: parseIp("10.0.0.0")!, prefix: 8, text: "10.0.0.0/8" },
      filters: this.#filters,
    };
  }

  #clientResource(): ClientResource {
    const resource = this.resource();
    return {
      ...(resource.type === "cidr"
        ? { type: "cidr", cidr: resource.address }
        : { type: "dns", pattern: resource.address }),
      id: RESOURCE_ID,
      name: resource.name,
      addressDescription: undefined,
      sites: [],
      filters: [],
      ipStack: "dual",
    };
  }
}
