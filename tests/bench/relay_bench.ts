/** What relaying costs per packet in the core, without sockets, and what a STUN message costs. */
import { SocketAddress } from "../../mod/packet/address.ts";
import {
  AttributeType,
  decodeStun,
  encodeStun,
  longTermKey,
  Method,
  verifyIntegrity,
} from "../../mod/stun/mod.ts";
import { RelayHarness } from "../embedded/relay_harness.ts";
import { NOW, WiredClient } from "../embedded/relay_wired_client.ts";
import { type Figure, measure } from "./figure.ts";

const CLIENT = SocketAddress.parse("203.0.113.5:40000")!;
const PEER = SocketAddress.parse("198.51.100.7:4000")!;
/** As many full-size tunnelled packets as one UDP GRO message holds, and as many small ones. */
const BURSTS = [[1312, 49], [96, 64], [1312, 1]] as const;

export function figures(): Figure[] {
  return [...relayed(), ...control()];
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

/** What a sender without credentials can make us do. */
function control(): Figure[] {
  const key = longTermKey("1700000000:salt", "firezone", "password");
  const check = encodeStun({
    class: "request",
    method: Method.BINDING,
    transactionId: new Uint8Array(12),
    attributes: [[AttributeType.USERNAME, "abcd:efgh"], [AttributeType.PRIORITY, 1]],
    integrityKey: key,
    fingerprint: true,
  });
  const message = decodeStun(check)!;
  return [
    measure("stun.decode.check", () => decodeStun(check)),
    measure("stun.verify", () => verifyIntegrity(message, key)),
  ];
}
