/**
 * Whole products in the world, from TUN to TUN, with the portal between them:
 *
 *     client-1 ── [NAT] ──┐                        ┌── [NAT] ── gateway-1 ── 10.1.0.0/16
 *     client-2 ── [NAT] ──┼─ internet ─ relay-1 …  ├── [NAT] ── gateway-2 ── 10.2.0.0/16
 *
 * Behind each gateway every address echoes UDP. Each packet has a text of its own, so that the world can hold the
 * cores to what must hold in every situation: nothing arrives twice, nothing at another's TUN, nothing under another
 * source address. `violations` collects what didn't.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { ClientOutput } from "../../mod/embedded/client/client.ts";
import { relayCredentials } from "../../mod/embedded/relay/mod.ts";
import type { GatewayOutput } from "../../mod/gateway/mod.ts";
import { formatIp, parseIp } from "../../mod/packet/mod.ts";
import type {
  CidrResource,
  ClientCommand,
  ClientEvent,
  GatewayCommand,
  GatewayEvent,
  Relay,
} from "../../mod/portal/types.ts";
import { pairIceCredentials } from "../../mod/embedded/portal/core/pair_credentials.ts";
import { udp } from "../gateway/packets.ts";
import { ClientMachine, GatewayMachine } from "./core_machine.ts";
import type { Host } from "./host.ts";
import type { LinkConditions } from "./link.ts";
import type { Nat, NatKind } from "./nat.ts";
import { Portal } from "./portal.ts";
import { RelayMachine } from "./relay.ts";
import { World, type WorldOptions } from "./world.ts";

const SOCKET_PORT = 52625;
/** From noticing that the portal's connection is dead to the next join, ms. */
const DIALLING = 200;
const EXPIRES_AT = 1_800_000_000;

export interface CoreWorldOptions extends WorldOptions {
  readonly clients?: number;
  readonly gateways?: number;
  readonly relays?: number;
  readonly clientNat?: NatKind | undefined;
  readonly gatewayNat?: NatKind | undefined;
  readonly conditions?: Partial<LinkConditions>;
}

interface Device<M> {
  readonly id: string;
  readonly number: number;
  readonly host: Host;
  readonly nat: Nat | undefined;
  /** Its address inside the tunnel. */
  readonly tunnel: { readonly ipv4: Uint8Array; readonly ipv6: Uint8Array };
  machine: M;
  /** Times at which packets came out of its TUN. */
  readonly arrivals: number[];
}

export type ClientDevice = Device<ClientMachine>;
export type GatewayDevice = Device<GatewayMachine>;
type AnyDevice = ClientDevice | GatewayDevice;

export class CoreWorld {
  readonly world: World;
  readonly portal: Portal<ClientEvent | GatewayEvent>;
  readonly relays = new Map<string, RelayMachine>();
  readonly clients: ClientDevice[] = [];
  readonly gateways: GatewayDevice[] = [];
  readonly violations: string[] = [];
  /** False: the policy refuses whatever is asked from now on. */
  allows = true;
  readonly #relayHosts = new Map<string, Host>();
  readonly #conditions: Partial<LinkConditions>;
  readonly #seen = new Set<string>();
  readonly #grants = new Map<string, { clientId: string; resourceId: string }>();
  /** Devices whose link to the portal is dead, or being made anew. */
  readonly #cutOff = new Map<string, "unnoticed" | "dialling">();
  readonly #outbox: (() => void)[] = [];
  #sequence = 0;

  constructor(options: CoreWorldOptions = {}) {
    const world = this.world = new World(options);
    this.portal = new Portal(world);
    this.portal.script = ({ to }) => !this.#cutOff.has(to);
    this.#conditions = options.conditions ?? { latency: 10 };
    for (let i = 1; i <= (options.relays ?? 1); i++) this.startRelay(`relay-${i}`);
    for (let i = 1; i <= (options.gateways ?? 1); i++) {
      const base = this.#device("gateway", i, options.gatewayNat);
      const device: GatewayDevice = { ...base, machine: this.#gatewayMachine(i) };
      this.gateways.push(this.#plugIn(device));
    }
    for (let i = 1; i <= (options.clients ?? 1); i++) {
      const base = this.#device("client", i, options.clientNat);
      const device: ClientDevice = { ...base, machine: this.#clientMachine(i) };
      this.clients.push(this.#plugIn(device));
    }
    world.run(1_000);
  }

  // Relays --------------------------------------------------------------------------------------------------------

  /** Starts a relay, or starts it again after `killRelay`; nobody is told. */
  startRelay(id: string, secret?: string): void {
    let host = this.#relayHosts.get(id);
    if (!host) {
      const number = this.#relayHosts.size + 2;
      const addresses = { v4: `198.51.100.${number}`, v6: `2001:db8:1::${number}` };
      host = this.world.host(id).connect(this.world.internet, addresses, { latency: 2 });
      this.#relayHosts.set(id, host);
    }
    this.relays.set(id, new RelayMachine(host, this.world.random.fork(), secret));
  }

  killRelay(id: string): void {
    this.#relayHosts.get(id)!.kill(this.relays.get(id)!);
    this.relays.delete(id);
  }

  /** What the portal tells everybody when relays come and go. */
  announceRelays(disconnectedIds: readonly string[]): void {
    for (const device of [...this.clients, ...this.gateways]) {
      const presence = { disconnectedIds, connected: this.#relaysFor(device) };
      this.portal.send("portal", device.id, { type: "relays_presence", presence });
    }
  }

  // Devices -------------------------------------------------------------------------------------------------------

  /** Ends the process as SIGKILL does and starts a new one, with a new key. */
  restart(device: AnyDevice): void {
    device.host.kill(device.machine);
    if (isClient(device)) device.machine = this.#clientMachine(device.number);
    else device.machine = this.#gatewayMachine(device.number);
    this.#plugIn(device);
  }

  /**
   * Another network at once, without a NAT: Wi-Fi lost, mobile found. The connection to the portal dies with the old
   * address; the product has to notice by itself, and then dials anew.
   */
  roam({ host, id }: AnyDevice, v4: string): void {
    host.disconnect();
    host.connect(this.world.internet, { v4 }, this.#conditions);
    this.#cutOff.set(id, "unnoticed");
    this.world.trace.note(`${id} roams to ${v4}`);
  }

  /** What the portal sends after a join. */
  initialise(device: AnyDevice): void {
    const relays = this.#relaysFor(device);
    if (isClient(device)) {
      const clientInterface = { ...device.tunnel, upstreamDns: [], searchDomain: undefined };
      const resources = this.gateways.map(({ number }) => {
        const { type, id, name, address } = resourceOf(number);
        return {
          type,
          id,
          name,
          cidr: address,
          addressDescription: undefined,
          sites: [],
          filters: [],
          ipStack: "dual" as const,
        };
      });
      this.portal.send("portal", device.id, {
        type: "init",
        init: { interface: clientInterface, relays, resources },
      });
    } else {
      const authorizations = [...this.#grants.values()]
        .filter(({ resourceId }) => resourceId === resourceOf(device.number).id)
        .map((grant) => ({ ...grant, expiresAt: null }));
      this.portal.send("portal", device.id, {
        type: "init",
        init: { interface: device.tunnel, relays, accountSlug: undefined, authorizations },
      });
    }
  }

  /** The administrator takes a right away. */
  revoke(client: ClientDevice, gateway: GatewayDevice): void {
    const { id: resourceId } = resourceOf(gateway.number);
    this.allows = false;
    this.#grants.delete(`${client.id} ${resourceId}`);
    this.portal.send("portal", gateway.id, { type: "reject_access", clientId: client.id, resourceId });
  }

  // Traffic -------------------------------------------------------------------------------------------------------

  /** One packet from a client to the echo behind a gateway; comes back to the client's `arrivals`. */
  send(client: ClientDevice, gateway: GatewayDevice): void {
    const text = `${client.id} > ${gateway.id} ${this.#sequence++}`;
    const packet = udp(formatIp(client.tunnel.ipv4), 40_000, `10.${gateway.number}.0.9`, 7, text);
    client.machine.fromTun(packet);
  }

  /** Sends every `interval` ms until the returned function is called. */
  sendEvery(interval: number, client: ClientDevice, gateway: GatewayDevice): () => void {
    let isOver = false;
    const send = () => {
      if (isOver) return;
      this.send(client, gateway);
      this.world.after(interval, send);
    };
    this.world.after(0, send);
    return () => isOver = true;
  }

  /** Ms from the first packet to the first echo; undefined when none came within `limit`. */
  firstEcho(client: ClientDevice, gateway: GatewayDevice, limit = 10_000): number | undefined {
    const start = this.world.now, before = client.arrivals.length;
    const stop = this.sendEvery(50, client, gateway);
    const heard = this.world.runUntil(() => client.arrivals.length > before, limit);
    stop();
    return heard ? this.world.now - start : undefined;
  }

  /** Sends every 100 ms for `ms`; the longest time without an echo. */
  longestOutage(ms: number, client: ClientDevice, gateway: GatewayDevice): number {
    const start = this.world.now;
    const stop = this.sendEvery(100, client, gateway);
    this.world.run(ms);
    stop();
    const times = [start, ...client.arrivals.filter((at) => at > start), this.world.now];
    return Math.max(...times.slice(1).map((at, i) => at - times[i]!));
  }

  /** The way that packets take from a client, as it sees it. */
  path(client: ClientDevice, gateway: GatewayDevice): string | undefined {
    return client.machine.end.node.connection(gateway.id)?.nominated?.kind;
  }

  // Internals -----------------------------------------------------------------------------------------------------

  #device(role: "client" | "gateway", number: number, kind: NatKind | undefined) {
    const { world } = this;
    const id = idOf(role, number);
    const net = (role === "client" ? 10 : 100) + number;
    const nat = kind && world.nat(`${id} NAT`, kind, { v4: `203.0.113.${net}` });
    const host = world.host(id).connect(nat ? nat.inside : world.internet, {
      v4: nat ? `192.168.${net}.2` : `203.0.113.${net}`,
    }, this.#conditions);
    const last = role === "client" ? 10 + number : number;
    const tunnel = { ipv4: parseIp(`100.64.0.${last}`)!, ipv6: parseIp(`fd00:2021:1111::${last}`)! };
    return { id, number, host, nat, tunnel, arrivals: [] };
  }

  #plugIn<D extends AnyDevice>(device: D): D {
    device.host.bind(SOCKET_PORT, device.machine);
    this.portal.join(device.id, (event) => {
      if (isClient(device)) device.machine.core.handlePortal(event as ClientEvent, this.world.now);
      else device.machine.core.handlePortal(event as GatewayEvent, this.world.now);
      device.machine.drain();
    });
    this.initialise(device);
    return device;
  }

  #clientMachine(number: number): ClientMachine {
    return new ClientMachine({
      seed: this.world.random.u32(),
      now: () => this.world.now,
      onPacket: (packet) => this.#atClient(this.clients[number - 1]!, packet),
    }, (output) => this.#fromClient(this.clients[number - 1]!, output));
  }

  #gatewayMachine(number: number): GatewayMachine {
    return new GatewayMachine({
      seed: this.world.random.u32(),
      now: () => this.world.now,
      onPacket: (packet) => this.#atGateway(this.gateways[number - 1]!, packet),
    }, (output) => this.#fromGateway(this.gateways[number - 1]!, output));
  }

  #atGateway(gateway: GatewayDevice, packet: Uint8Array): void {
    const { src, dst, text } = dissect(packet);
    const [from, , to] = text.split(" ");
    const client = this.clients.find(({ id }) => id === from);
    if (to !== gateway.id || dst !== `10.${gateway.number}.0.9`) {
      this.#violation(`${text} came to ${gateway.id}`);
    }
    if (!client || src !== formatIp(client.tunnel.ipv4)) this.#violation(`${text} came from ${src}`);
    this.#once(`at ${gateway.id}: ${text}`);
    gateway.arrivals.push(this.world.now);
    gateway.machine.fromTun(udp(dst, 7, src, 40_000, text));
  }

  #atClient(client: ClientDevice, packet: Uint8Array): void {
    const { src, dst, text } = dissect(packet);
    const [from, , to] = text.split(" ");
    const gateway = this.gateways.find(({ id }) => id === to);
    if (from !== client.id || dst !== formatIp(client.tunnel.ipv4)) {
      this.#violation(`${text} came back to ${client.id}`);
    }
    if (src !== `10.${gateway?.number}.0.9`) this.#violation(`${text} came back from ${src}`);
    this.#once(`at ${client.id}: ${text}`);
    client.arrivals.push(this.world.now);
  }

  #once(what: string): void {
    if (this.#seen.has(what)) this.#violation(`twice ${what}`);
    this.#seen.add(what);
  }

  #violation(what: string): void {
    this.violations.push(`${this.world.now}: ${what}`);
  }

  /** The product knows that its address has changed. */
  #redial(device: AnyDevice): void {
    if (!this.#cutOff.has(device.id)) return;
    this.#cutOff.set(device.id, "dialling");
    this.world.after(DIALLING, () => {
      this.#cutOff.delete(device.id);
      this.initialise(device);
      for (const say of this.#outbox.splice(0)) say();
    });
  }

  /** A message to the portal: lost on a dead link, kept while it is being made anew. */
  #say(device: AnyDevice, to: string, message: ClientEvent | GatewayEvent): void {
    const state = this.#cutOff.get(device.id);
    if (state === "dialling") this.#outbox.push(() => this.portal.send(device.id, to, message));
    else if (state === undefined) this.portal.send(device.id, to, message);
  }

  #fromClient(client: ClientDevice, output: ClientOutput): void {
    if (output.type === "node" && output.event.type === "moved") this.#redial(client);
    if (output.type !== "portal") return;
    const { command } = output;
    switch (command.type) {
      case "request":
        return this.#request(client, command);
      case "candidates":
        return this.#say(client, command.gatewayId, {
          type: "ice_candidates",
          clientId: client.id,
          candidates: command.candidates,
        });
      case "invalidated_candidates":
        return this.#say(client, command.gatewayId, {
          type: "invalidate_ice_candidates",
          clientId: client.id,
          candidates: command.candidates,
        });
      case "no_relays":
        return this.#sendRelays(client);
    }
  }

  #fromGateway(gateway: GatewayDevice, output: GatewayOutput): void {
    if (output.type === "node" && output.event.type === "moved") this.#redial(gateway);
    if (output.type !== "portal") return;
    const { command } = output;
    switch (command.type) {
      case "authorized":
        return this.#confirm(gateway, command);
      case "candidates":
        return this.#say(gateway, command.clientId, {
          type: "ice_candidates",
          gatewayId: gateway.id,
          candidates: command.candidates,
        });
      case "invalidated_candidates":
        return this.#say(gateway, command.clientId, {
          type: "invalidate_ice_candidates",
          gatewayId: gateway.id,
          candidates: command.candidates,
        });
      case "no_relays":
        return this.#sendRelays(gateway);
    }
  }

  /** The client asks for a resource: the portal asks the gateway, whose confirmation answers the client. */
  #request(client: ClientDevice, { resourceId }: ClientCommand & { type: "request" }): void {
    const gateway = this.gateways.find(({ number }) => resourceOf(number).id === resourceId);
    if (!gateway || !this.allows) return;
    this.#grants.set(`${client.id} ${resourceId}`, { clientId: client.id, resourceId });
    this.#say(client, gateway.id, {
      type: "authorize",
      authorization: {
        ref: `${client.id} ${client.machine.publicKey.toHex()}`,
        resource: resourceOf(gateway.number),
        client: {
          id: client.id,
          publicKey: client.machine.publicKey,
          ...client.tunnel,
          presharedKey: this.#secrets(client, gateway).presharedKey,
        },
        clientIce: this.#secrets(client, gateway).clientIce,
        gatewayIce: this.#secrets(client, gateway).gatewayIce,
        expiresAt: null,
      },
    });
  }

  #confirm(gateway: GatewayDevice, { ref }: GatewayCommand & { type: "authorized" }): void {
    const [clientId, key] = ref.split(" ");
    const client = this.clients.find(({ id }) => id === clientId);
    if (!client || client.machine.publicKey.toHex() !== key) return;
    this.#say(gateway, client.id, {
      type: "flow_created",
      flow: {
        resourceId: resourceOf(gateway.number).id,
        gatewayId: gateway.id,
        siteId: gateway.id,
        gatewayPublicKey: gateway.machine.publicKey,
        gatewayIpv4: gateway.tunnel.ipv4,
        gatewayIpv6: gateway.tunnel.ipv6,
        ...this.#secrets(client, gateway),
      },
    });
  }

  #sendRelays(device: AnyDevice): void {
    if (this.#cutOff.has(device.id)) return;
    const presence = { disconnectedIds: [], connected: this.#relaysFor(device) };
    this.portal.send("portal", device.id, { type: "relays_presence", presence });
  }

  #relaysFor({ machine }: AnyDevice): Relay[] {
    return [...this.relays].map(([id, { addresses, stampSecret }]) => ({
      id,
      ...(addresses.v4 ? { v4: addresses.v4 } : {}),
      ...(addresses.v6 ? { v6: addresses.v6 } : {}),
      ...relayCredentials({ publicKey: machine.publicKey.toBase64(), stampSecret, expiresAt: EXPIRES_AT }),
      expiresAt: EXPIRES_AT,
    }));
  }

  /** Stable while both keys are (spec snownet §2.3, §4.8). */
  #secrets(client: ClientDevice, gateway: GatewayDevice) {
    const members = [client, gateway].map(({ id, machine }) => ({
      id,
      publicKey: machine.publicKey.toBase64(),
    }));
    const ice = pairIceCredentials(members[0]!, members[1]!);
    const credentials = ({ username, password }: { username: string; password: string }) => ({
      ufrag: username,
      password,
    });
    return {
      presharedKey: sha256(new TextEncoder().encode(members.map(({ publicKey }) => publicKey).join())),
      clientIce: credentials(ice.client),
      gatewayIce: credentials(ice.gateway),
    };
  }
}

function isClient(device: AnyDevice): device is ClientDevice {
  return device.machine instanceof ClientMachine;
}

function idOf(role: "client" | "gateway", number: number): string {
  return `${role}-${number}`;
}

/** The network behind a gateway. */
function resourceOf(number: number): CidrResource {
  const ip = parseIp(`10.${number}.0.0`)!;
  return {
    type: "cidr",
    id: `network-${number}`,
    name: `Network ${number}`,
    address: { ip, prefix: 16, text: `10.${number}.0.0/16` },
    filters: [],
  };
}

function dissect(packet: Uint8Array): { src: string; dst: string; text: string } {
  return {
    src: formatIp(packet.subarray(12, 16)),
    dst: formatIp(packet.subarray(16, 20)),
    text: new TextDecoder().decode(packet.subarray(28)),
  };
}
