/** Many allocations at once on real sockets: descriptors, ports and the time that a sweep takes. */
import { equal, ok } from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { relayCredentials, startRelay } from "../../mod/embedded/relay/mod.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeChannelData,
  encodeStun,
  longTermKey,
  Method,
  type StunAttribute,
  type StunMessage,
} from "../../mod/stun/mod.ts";
import { openEcho } from "../interop/turn_endpoint.ts";

const PORT = 34787, ALLOCATIONS = 600, SOURCES = 5;
const CHANNEL = 0x4000;

/** The smallest TURN client there is: a socket, a credential, one request at a time. */
class Client {
  readonly #socket: Socket;
  readonly #user: { readonly username: string; readonly key: Uint8Array };
  #nonce: string | undefined;
  #answer = (_: Uint8Array) => {};

  constructor(readonly ip: string, device: string, stampSecret: string) {
    const { username, password } = relayCredentials({
      publicKey: device,
      stampSecret,
      expiresAt: 2145916800,
    });
    this.#user = { username, key: longTermKey(username, "firezone", password) };
    this.#socket = createSocket("udp4", (bytes) => this.#answer(bytes));
  }

  open(): Promise<void> {
    return new Promise((resolve) => this.#socket.bind(0, this.ip, resolve));
  }

  async request(method: number, attributes: readonly StunAttribute[]): Promise<StunMessage> {
    const { username, key } = this.#user;
    const answer = decodeStun(
      await this.exchange(encodeStun({
        class: "request",
        method,
        transactionId: crypto.getRandomValues(new Uint8Array(12)),
        attributes: [
          ...attributes,
          [A.USERNAME, username],
          [A.REALM, "firezone"],
          ...(this.#nonce === undefined ? [] : [[A.NONCE, this.#nonce] as const]),
        ],
        integrityKey: key,
      })),
    )!;
    if (answer.errorCode?.code !== 401 || this.#nonce !== undefined) return answer;
    this.#nonce = answer.nonce;
    return await this.request(method, attributes);
  }

  exchange(bytes: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#socket.send(bytes, PORT, "127.0.0.1");
    });
  }

  close(): void {
    this.#socket.close();
  }
}

Deno.test("hundreds of allocations stand at once, each with its own port, and all of them relay", async () => {
  const relay = await startRelay({
    addresses: { v4: "127.0.0.1", v6: "::1" },
    port: PORT,
    portRange: [40000, 43999],
    allowedPeers: ["127.0.0.0/8"],
  });
  const echo = await openEcho();
  const clients = Array.from(
    { length: ALLOCATIONS },
    (_, i) => new Client(`127.0.0.${2 + i % SOURCES}`, `device ${i}`, relay.stampSecret),
  );
  try {
    const ports = new Set<number>();
    for (const client of clients) {
      await client.open();
      const granted = await client.request(Method.ALLOCATE, [
        [A.REQUESTED_TRANSPORT, 17],
        [A.ADDITIONAL_ADDRESS_FAMILY, 6],
      ]);
      equal(granted.xorRelayedAddresses.length, 2);
      ports.add(granted.xorRelayedAddresses[0]!.port);
      const bound = await client.request(Method.CHANNEL_BIND, [
        [A.XOR_PEER_ADDRESS, echo.address],
        [A.CHANNEL_NUMBER, CHANNEL],
      ]);
      equal(bound.class, "success");
    }
    equal(ports.size, ALLOCATIONS);
    equal(relay.stats()["relay_allocations"], ALLOCATIONS);
    const wire = encodeChannelData(CHANNEL, Uint8Array.of(1, 2, 3, 4));
    for (const client of clients) {
      const back = await client.exchange(wire);
      ok(back.length === wire.length && back.every((byte, i) => byte === wire[i]));
    }
    equal(relay.stats()["relay_to_client_packets"], ALLOCATIONS);
  } finally {
    for (const client of clients) client.close();
    echo.close();
    await relay.stop();
  }
});
