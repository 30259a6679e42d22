/** A node of a simulated pair, with ways to hand it any datagram and to see everything that this causes. */
import type { NodeEvent } from "../../mod/node/mod.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";
import { NodeWorld, type NodeWorldOptions } from "../world/node_world.ts";

export const STRANGER = SocketAddress.parse("198.18.0.7:4000")!;

export class Bed {
  readonly stage: NodeWorld;
  readonly gatewayAddress: SocketAddress;
  readonly relayAddress: SocketAddress;

  /** Connected and settled unless `isConnected` is false. */
  constructor(options: NodeWorldOptions = {}, isConnected = true) {
    this.stage = new NodeWorld(options);
    if (isConnected) {
      if (this.stage.connect() === undefined) throw new Error("not connected");
      this.stage.world.run(2_000);
    }
    this.gatewayAddress = SocketAddress.of(this.stage.ends.gateway.host.ip(4)!, 52625)!;
    this.relayAddress = SocketAddress.of("198.51.100.2", 3478)!;
  }

  get node() {
    return this.stage.gateway.node;
  }

  /** Hands the gateway a datagram now; what it sends because of it. */
  inject(payload: Uint8Array, source = STRANGER, destination = this.gatewayAddress): Sent[] {
    const { gateway, world } = this.stage;
    gateway.handleDatagram({ source, destination, payload, ecn: 0, origin: "test" }, world.now);
    return this.sent();
  }

  sent(): Sent[] {
    const { gateway } = this.stage;
    const sent: Sent[] = [];
    for (let t = gateway.pollTransmit(); t; t = gateway.pollTransmit()) sent.push(t);
    return sent;
  }

  count(name: string): number {
    return this.stage.gateway.counters.get(name);
  }

  /** Events of the gateway since `from`, without the time. */
  events(from = 0): NodeEvent["type"][] {
    return this.stage.gateway.events.slice(from).map(({ type }) => type);
  }
}

export interface Sent {
  readonly src?: SocketAddress;
  readonly dst: SocketAddress;
  readonly payload: Uint8Array;
}
