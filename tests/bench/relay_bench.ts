/** What relaying costs per packet in the core, without sockets. */
import { SocketAddress } from "../../mod/packet/address.ts";
import { RelayHarness } from "../embedded/relay_harness.ts";
import { NOW, WiredClient } from "../embedded/relay_wired_client.ts";
import { type Figure, measure } from "./figure.ts";

const CLIENT = SocketAddress.parse("203.0.113.5:40000")!;
const PEER = SocketAddress.parse("198.51.100.7:4000")!;
/** As many full-size tunnelled packets as one UDP GRO message holds, and as many small ones. */
const BURSTS = [[1312, 49], [96, 64], [1312, 1]] as const;

export function figures(): Figure[] {
  const relay = new RelayHarness();
  const client = new WiredClient(relay, CLIENT, "bench");
  const channel = client.bind(PEER);
  return BURSTS.flatMap(([size, count]) => {
    const { toPeer, toClient } = relay.prepare(client.from, client.port, PEER, channel, size, count);
    return [
      measure(`relay.to_peer.${size}x${count}`, () => toPeer(NOW), count),
      measure(`relay.to_client.${size}x${count}`, () => toClient(NOW), count),
    ];
  });
}
