/**
 * The usual stage for two ICE ends:
 *
 *     client ── [NAT] ── internet ── [NAT] ── gateway
 *                           │
 *                         relay
 */
import { CLIENT_ACTIVE, GATEWAY_ACTIVE, type IceTiming } from "../../mod/ice/mod.ts";
import type { Host } from "./host.ts";
import { IcePeer, type Signal } from "./ice_peer.ts";
import type { LinkConditions } from "./link.ts";
import type { Nat, NatKind } from "./nat.ts";
import type { Network } from "./network.ts";
import { Portal } from "./portal.ts";
import { RelayMachine } from "./relay.ts";
import { World, type WorldOptions } from "./world.ts";

export const SOCKET_PORT = 52625;
const CLIENT_CREDENTIALS = { ufrag: "w7up", password: "ksqwm66pilnb7skdwwfw3r" };
const GATEWAY_CREDENTIALS = { ufrag: "kwe6", password: "mzkrj52x5h5ebrfdsh5iyq" };

export interface IceWorldOptions extends WorldOptions {
  readonly clientNat?: NatKind;
  readonly gatewayNat?: NatKind;
  /** Of the hosts' links; the relay's has 1 ms. */
  readonly conditions?: Partial<LinkConditions>;
  readonly clientTiming?: IceTiming;
  readonly gatewayTiming?: IceTiming;
  /** Which families each end has; both IPv4 only by default. */
  readonly clientFamilies?: readonly (4 | 6)[];
  readonly gatewayFamilies?: readonly (4 | 6)[];
}

interface End {
  readonly host: Host;
  readonly nat: Nat | undefined;
  readonly network: Network;
}

export class IceWorld {
  readonly world: World;
  readonly portal: Portal<Signal>;
  readonly relayHost: Host;
  readonly relay: RelayMachine;
  readonly client: IcePeer;
  readonly gateway: IcePeer;
  readonly clientEnd: End;
  readonly gatewayEnd: End;

  constructor(options: IceWorldOptions = {}) {
    const world = this.world = new World(options);
    this.portal = new Portal<Signal>(world);
    this.relayHost = world.host("relay")
      .connect(world.internet, { v4: "198.51.100.2", v6: "2001:db8:1::2" }, { latency: 1 });
    this.relay = new RelayMachine(this.relayHost, world.random.fork());
    const { conditions = { latency: 10 }, clientFamilies = [4], gatewayFamilies = [4] } = options;
    this.clientEnd = this.#end("client", 1, options.clientNat, clientFamilies, conditions);
    this.gatewayEnd = this.#end("gateway", 2, options.gatewayNat, gatewayFamilies, conditions);
    const common = { random: world.random, relay: this.relay, now: world.now };
    this.client = new IcePeer({
      ...common,
      name: "client",
      controlling: true,
      local: CLIENT_CREDENTIALS,
      remote: GATEWAY_CREDENTIALS,
      timing: options.clientTiming ?? CLIENT_ACTIVE,
      signal: (signal) => this.portal.send("client", "gateway", signal),
    });
    this.gateway = new IcePeer({
      ...common,
      name: "gateway",
      controlling: false,
      local: GATEWAY_CREDENTIALS,
      remote: CLIENT_CREDENTIALS,
      timing: options.gatewayTiming ?? GATEWAY_ACTIVE,
      signal: (signal) => this.portal.send("gateway", "client", signal),
    });
    for (
      const [name, end, peer] of [["client", this.clientEnd, this.client], [
        "gateway",
        this.gatewayEnd,
        this.gateway,
      ]] as const
    ) {
      end.host.bind(SOCKET_PORT, peer);
      this.portal.join(name, (signal) => peer.handleSignal(signal, world.now));
    }
  }

  get isConnected(): boolean {
    return this.client.isConnected && this.gateway.isConnected;
  }

  /** Ms until both ends are connected; undefined when that takes more than `limit`. */
  connect(limit = 10_000): number | undefined {
    const start = this.world.now;
    return this.world.runUntil(() => this.isConnected, limit) ? this.world.now - start : undefined;
  }

  /** True when a text gets from each end to the other within `limit` ms, sent once. */
  exchange(limit = 500): boolean {
    const text = `at ${this.world.now}`;
    this.client.send(text, this.world.now);
    this.gateway.send(text, this.world.now);
    const arrived = (peer: IcePeer) => peer.received.some((message) => message.text === text);
    return this.world.runUntil(() => arrived(this.client) && arrived(this.gateway), limit);
  }

  /**
   * Sends a text each way every `interval` ms for `ms`, and tells the longest time that an end heard nothing.
   */
  longestOutage(ms: number, interval = 100): number {
    const { world } = this;
    const start = world.now;
    for (let at = 0; at < ms; at += interval) {
      world.after(at, () => {
        this.client.send("data", world.now);
        this.gateway.send("data", world.now);
      });
    }
    world.run(ms);
    return Math.max(...[this.client, this.gateway].map((peer) => {
      const times = [start, ...peer.received.filter(({ at }) => at >= start).map(({ at }) => at), world.now];
      return Math.max(...times.slice(1).map((at, i) => at - times[i]!));
    }));
  }

  #end(
    name: string,
    number: number,
    kind: NatKind | undefined,
    families: readonly (4 | 6)[],
    conditions: Partial<LinkConditions>,
  ): End {
    const { world } = this;
    const nat = kind && world.nat(`${name} NAT`, kind, { v4: `203.0.113.${number}` });
    const network = nat ? nat.inside : world.internet;
    const host = world.host(name).connect(network, {
      ...(families.includes(4) ? { v4: nat ? `192.168.${number}.2` : `203.0.113.${10 * number}` } : {}),
      ...(families.includes(6) ? { v6: `2001:db8:${number}00::2` } : {}),
    }, conditions);
    return { host, nat, network };
  }
}
