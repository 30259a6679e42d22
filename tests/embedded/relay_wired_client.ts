import { relayCredentials } from "../../mod/embedded/relay/credentials.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { Allocation } from "../../mod/turn/mod.ts";
import {
  RELAY_V4,
  RELAY_V6,
  type RelayHarness,
  seededRandom,
  STAMP_SECRET,
  UNIX_NOW,
} from "./relay_harness.ts";

export const NOW = 5000;

/** A TURN client joined to the relay core by a perfect wire. */
export class WiredClient {
  readonly allocation: Allocation;
  constructor(readonly relay: RelayHarness, readonly from: SocketAddress, device: string, now = NOW) {
    this.allocation = new Allocation({
      relayId: "relay",
      addresses: {
        v4: from.family === 4 ? SocketAddress.of(RELAY_V4, 3478) : undefined,
        v6: from.family === 6 ? SocketAddress.of(RELAY_V6, 3478) : undefined,
      },
      ...relayCredentials({ publicKey: device, stampSecret: STAMP_SECRET, expiresAt: UNIX_NOW + 86400 }),
      realm: "firezone",
      software: "snownet",
      random: seededRandom(device.length),
      now,
    });
    this.exchange(now);
  }

  exchange(now: number): void {
    for (let t; (t = this.allocation.pollTransmit());) {
      for (const sent of this.relay.fromClient(this.from, [t.payload], now)) {
        this.allocation.handleDatagram(t.dst, this.from, sent.payload, now);
      }
    }
    while (this.allocation.pollEvent());
  }

  bind(peer: SocketAddress, now = NOW): number {
    const channel = this.allocation.channelTo(peer, now);
    this.exchange(now);
    return channel;
  }

  get port(): number {
    return this.allocation.relayedAddress(4)!.port;
  }
}
