/** What relaying costs per packet in the core, without sockets, and what a stranger's datagram costs. */
import { SocketAddress } from "../../mod/packet/address.ts";
import { AttributeType, encodeStun, longTermKey, Method, type StunAttribute } from "../../mod/stun/mod.ts";
import { RelayHarness } from "../embedded/relay_harness.ts";
import { NOW, WiredClient } from "../embedded/relay_wired_client.ts";
import { type Figure, measure } from "./figure.ts";

const CLIENT = SocketAddress.parse("203.0.113.5:40000")!;
const PEER = SocketAddress.parse("198.51.100.7:4000")!;
/** As many full-size tunnelled packets as one UDP GRO message holds, and as many small ones. */
const BURSTS = [[1312, 49], [96, 64], [1312, 1]] as const;
/** Milliseconds between a stranger's datagrams, all of which are answered, or none. */
const PACES = [["answered", 10], ["limited", 0]] as const;
/** More than is answered at once. */
const BURST = 5000;

export function figures(): Figure[] {
  return [...relayed(), ...flooded()];
}

function relayed(): Figure[] {
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

function flooded(): Figure[] {
  const request = (method: number, attributes: readonly StunAttribute[], integrityKey?: Uint8Array) =>
    encodeStun({
      class: "request",
      method,
      transactionId: new Uint8Array(12),
      attributes,
      ...(integrityKey && { integrityKey }),
    });
  const username: StunAttribute = [AttributeType.USERNAME, `2145916800:${"s".repeat(43)}`];
  const key = longTermKey("1700000000:salt", "firezone", "password");
  const kinds = {
    garbage: new Uint8Array(100),
    binding: request(Method.BINDING, [[AttributeType.SOFTWARE, "x".repeat(80)]]),
    challenge: request(Method.ALLOCATE, [username], key),
    nonce: request(Method.ALLOCATE, [username, [AttributeType.NONCE, "0".repeat(32)]], key),
  };
  return Object.entries(kinds).flatMap(([kind, bytes]) =>
    PACES.map(([what, pace]) => {
      const send = new RelayHarness().prepareDatagram(CLIENT, bytes);
      let now = NOW;
      for (let i = 0; i < BURST; i++) send(now += pace);
      return measure(`relay.stranger.${kind}.${what}`, () => send(now += pace));
    })
  );
}
