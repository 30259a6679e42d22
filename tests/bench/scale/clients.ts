/**
 * A thousand clients in one process, with the portal that brings them to a gateway:
 * `clients.ts <our ip> <relay ip> <relay secret> <resource ip> <clients> <seconds to connect them all>`.
 *
 * Each client is the product's own connection core (ICE agent and tunnel) without TUN, relay or process of its own;
 * they share four sockets, and datagrams are told apart as the gateway does it: by ufrag, transaction and index.
 * As a client behind a NAT would, each announces a private address that nobody answers at, its real address as
 * server-reflexive, and one on a relay: the gateway has all those pairs to care for. Once all are connected each has a
 * distance of its own, too, so that their checks and answers come one by one, as from a thousand places.
 *
 * Prints `connected <n>` on the way and, when all are connected or 30 s after the last was let in, one line
 * `result {json}`; then the clients stay, idle, until the process ends.
 */
import { createLibcryptoAead } from "../../../ffi/crypto_libcrypto.ts";
import { createLibcryptoDh } from "../../../ffi/crypto_libcrypto_dh.ts";
import { SlabPointers } from "../../../ffi/slab_pointers.ts";
import { UdpSocket } from "../../../ffi/udp/mod.ts";
import { NodeDh, WasmAead } from "../../../mod/crypto/mod.ts";
import {
  CLIENT_ACTIVE,
  CLIENT_IDLE,
  formatCandidate,
  hostCandidate,
  IceAgent,
  optimisticCandidates,
  parseCandidate,
  relayCandidate,
  serverReflexiveCandidate,
} from "../../../mod/ice/mod.ts";
import { Connection } from "../../../mod/node/connection.ts";
import { checksumOf } from "../../../mod/packet/checksum.ts";
import { readAddressRecord } from "../../../mod/packet/address.ts";
import { Counters, Slab, SocketAddress, TransmitQueue } from "../../../mod/packet/mod.ts";
import { formatKey } from "../../../mod/portal/key.ts";
import { decodeStun, transactionKey } from "../../../mod/stun/mod.ts";
import { HandshakeLimiter, IndexAllocator, Tunnel } from "../../../mod/wireguard/mod.ts";
import { PortalStub } from "./portal_stub.ts";

const SOCKETS = 4, TICK_MS = 1, GIVE_UP_MS = 30_000, MAX_SKEW_MS = 250;
const INITIATION = 1, RESPONSE = 2, DATA = 4;
const PACKET = 32; // IPv4, ICMP echo, padding
const RESOURCE_ID = "00000000-0000-4000-8000-00000000eeee";
const CREDENTIALS_UNTIL = 2145916800;

const [ownIp, relayIp, relaySecret, resourceIp, countText, secondsText] = Deno.args as [string, ...string[]];
const count = Number(countText), rampMs = Number(secondsText) * 1000;
const slab = new Slab(8 << 20);
SlabPointers.of(slab);
const aead = createLibcryptoAead(slab) ?? new WasmAead(slab), dh = createLibcryptoDh() ?? new NodeDh();
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const indices = new IndexAllocator(random);
const scratch = slab.reserve(2048);
const sockets: UdpSocket[] = [];
const queues = Array.from(
  { length: SOCKETS },
  () => new TransmitQueue(slab, { areaLength: 256 * 1024, capacity: 2048 }),
);
const counters = new Counters();
const addresses: SocketAddress[] = [];

interface Client {
  readonly number: number;
  readonly id: string;
  readonly connection: Connection;
  readonly socket: number;
  readonly startedAt: number;
  /** How far its clock is ahead of ours, and how far away it is, ms. */
  readonly skew: number;
  initiatedAt: number | undefined;
  handshakeMs: number | undefined;
  echoedMs: number | undefined;
  initiations: number;
}

const clients: Client[] = [];
const byId = new Map<string, Client>(), byUfrag = new Map<string, Client>();
const byIndex = new Map<number, Client>(), byTransaction = new Map<string, Client>();
let gatewayKey: Uint8Array | undefined;
let echoed = 0, isSettled = false;

for (let i = 0; i < SOCKETS; i++) {
  const { bytes } = SocketAddress.of(ownIp, 0)!;
  const socket = UdpSocket.open({ family: 4, slab, counters, port: 0, address: bytes, receiveBuffers: 4 });
  addresses.push(SocketAddress.of(ownIp, socket.port)!);
  sockets.push(socket);
}

const portal = new PortalStub({
  port: 8443,
  relay: `${relayIp}:3478`,
  relaySecret: relaySecret!,
  onGateway: (key) => {
    if (gatewayKey) return;
    gatewayKey = key;
    setTimeout(letIn, 1000);
  },
  onAuthorized: (ref) => signal(clients[Number(ref)]!),
  onCandidates: (id, candidates) => {
    const client = byId.get(id);
    if (!client) return;
    const { agent } = client.connection;
    for (const text of candidates) {
      const candidate = parseCandidate(text);
      if (candidate) agent.addRemoteCandidate(candidate, clockOf(client));
      for (const guess of optimisticCandidates(agent.remoteCandidates)) {
        agent.addRemoteCandidate(guess, clockOf(client));
      }
    }
    drive(client);
  },
});
console.log("listening");

setInterval(() => {
  sockets.forEach(drain);
  for (const client of clients) {
    if ((client.connection.wakeAt ?? Infinity) <= clockOf(client)) drive(client);
  }
  flush();
}, TICK_MS);

function clockOf({ skew }: Client): number {
  return performance.now() + skew;
}

function drain(socket: UdpSocket, number: number): void {
  for (let count = socket.receive(); count > 0; count = socket.receive()) {
    for (let i = 0; i < count; i++) {
      const start = socket.offsetOf(i), end = start + socket.lengthOf(i), segment = socket.segmentOf(i);
      const from = readAddressRecord(slab, socket.fromOf(i))!;
      for (let at = start; at < end; at += segment) {
        receive(slab.bytes.slice(at, Math.min(at + segment, end)), number, from);
      }
    }
  }
}

function send({ socket }: Client, payload: Uint8Array, dst: SocketAddress): void {
  if (queues[socket]!.pushDatagram({ payload, dst })) return;
  flush();
  queues[socket]!.pushDatagram({ payload, dst });
}

function flush(): void {
  sockets.forEach((socket, i) => {
    socket.send(queues[i]!, 0);
    queues[i]!.clear();
  });
}

function letIn(): void {
  const started = performance.now();
  const timer = setInterval(() => {
    const due = Math.min(count, Math.ceil((performance.now() - started) / rampMs * count));
    while (clients.length < due) authorize();
    if (clients.length < count) return;
    clearInterval(timer);
    const last = performance.now();
    const done = setInterval(() => {
      if (echoed < count && performance.now() < last + GIVE_UP_MS) return;
      clearInterval(done);
      finish();
    }, 50);
  }, 2);
}

function authorize(): void {
  const number = clients.length;
  const hex = number.toString(16).padStart(4, "0");
  const id = `00000000-0000-4000-8000-00000000${hex}`;
  const privateKey = random(32), publicKey = dh.publicKey(privateKey), presharedKey = random(32);
  const local = { ufrag: `c${hex}`, password: `client-password-of-${hex}` };
  const remote = { ufrag: `g${hex}`, password: `gateway-password-of-${hex}` };
  const startedAt = performance.now(), skew = MAX_SKEW_MS * Math.random(), now = startedAt + skew;
  const keys = { privateKey, publicKey };
  const request = { peerId: id, publicKey: gatewayKey!, presharedKey, local, remote };
  const tunnel = new Tunnel({
    keys,
    peerPublicKey: gatewayKey!,
    presharedKey,
    index: indices.allocate(),
    limiter: new HandshakeLimiter({ publicKey, random }),
    slab,
    aead,
    dh,
    random,
    unixNow: Date.now,
    now,
  });
  const agent = new IceAgent({ controlling: true, local, remote, timing: CLIENT_ACTIVE, random, now });
  const timings = { active: CLIENT_ACTIVE, idle: CLIENT_IDLE };
  const connection = new Connection(request, agent, tunnel, true, timings, now);
  const socket = number % SOCKETS;
  const client: Client = {
    ...{ number, id, connection, socket, startedAt, skew },
    ...{ initiatedAt: undefined, handshakeMs: undefined, echoedMs: undefined, initiations: 0 },
  };
  clients.push(client);
  byId.set(id, client);
  byUfrag.set(local.ufrag, client);
  byIndex.set(tunnel.index, client);
  connection.offer(hostCandidate(addresses[socket]!));
  portal.push("authorize_flow", {
    ref: String(number),
    resource: { type: "cidr", id: RESOURCE_ID, name: "r", address: "10.50.0.0/24", filters: [] },
    client: {
      id,
      public_key: formatKey(publicKey),
      preshared_key: btoa(String.fromCharCode(...presharedKey)),
      ipv4: tunnelIp(number),
      ipv6: `fd00:2021:1111::1:${hex}`,
    },
    client_ice_credentials: { username: local.ufrag, password: local.password },
    gateway_ice_credentials: { username: remote.ufrag, password: remote.password },
    expires_at: CREDENTIALS_UNTIL,
  });
}

/** Tells the gateway where the client can be reached. */
function signal({ id, number, socket }: Client): void {
  const home = SocketAddress.of(`192.168.${number >> 8}.${number & 255}`, 52625)!;
  const relayed = SocketAddress.of(relayIp!, 30000 + number)!;
  const candidates = [
    hostCandidate(home),
    serverReflexiveCandidate(addresses[socket]!, home),
    relayCandidate(relayed, 4),
  ];
  portal.push("ice_candidates", {
    client_id: id,
    candidates: candidates.map((candidate) => formatCandidate(candidate)),
  });
}

function receive(bytes: Uint8Array<ArrayBuffer>, socket: number, from: SocketAddress): void {
  const client = receiverOf(bytes);
  if (!client) return;
  if (isSettled) setTimeout(() => handle(client, bytes, socket, from), client.skew);
  else handle(client, bytes, socket, from);
}

function receiverOf(bytes: Uint8Array<ArrayBuffer>): Client | undefined {
  const stun = decodeStun(bytes);
  if (stun?.class === "request") return byUfrag.get(stun.username?.split(":", 1)[0] ?? "");
  if (stun) return byTransaction.get(transactionKey(stun.transactionId));
  const index = new DataView(bytes.buffer).getUint32(bytes[0] === RESPONSE ? 8 : 4, true);
  return byIndex.get(index >>> 8);
}

function handle(client: Client, bytes: Uint8Array<ArrayBuffer>, socket: number, from: SocketAddress): void {
  const now = clockOf(client);
  const { agent, tunnel } = client.connection;
  const stun = decodeStun(bytes);
  if (stun) {
    if (agent.accepts(stun)) agent.handleStun(stun, from, addresses[socket]!, now);
    return drive(client);
  }
  if (bytes[0] !== DATA) {
    tunnel.handleHandshake(bytes, from.bytes, now);
    if (bytes[0] === RESPONSE) client.handshakeMs ??= performance.now() - client.initiatedAt!;
    drive(client);
    if (tunnel.hasSession && client.echoedMs === undefined) ping(client);
    return;
  }
  const session = tunnel.session(new DataView(bytes.buffer).getUint32(4, true));
  if (!session) return;
  slab.bytes.set(bytes, scratch);
  const plain = session.open(scratch, bytes.length);
  if (plain < 0) return;
  tunnel.noteReceived(session, plain > 0, now);
  if (plain > 0) {
    client.connection.noteActivity(now);
    if (client.echoedMs === undefined) {
      client.echoedMs = performance.now() - client.startedAt;
      if (++echoed % 100 === 0) console.log(`connected ${echoed}`);
    }
  }
  drive(client);
}

function drive(client: Client): void {
  const { connection } = client;
  connection.drive(clockOf(client));
  for (let out = connection.outgoing.shift(); out; out = connection.outgoing.shift()) {
    if (out.transactionKey !== undefined) {
      byTransaction.set(out.transactionKey, client);
    }
    if (out.payload[0] === INITIATION && out.payload[1] === 0 && out.payload.length === 148) {
      client.initiatedAt = performance.now();
      client.initiations++;
    }
    send(client, out.payload, out.remote);
  }
  while (connection.news.shift());
}

/** One ICMP echo request to the resource through the tunnel. */
function ping(client: Client): void {
  const { connection, number } = client;
  const now = clockOf(client);
  const session = connection.tunnel.sendSession(now);
  if (!session || !connection.nominated) return;
  const at = scratch + 16;
  const packet = slab.bytes.subarray(at, at + PACKET);
  packet.fill(0);
  packet.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0]);
  packet.set(SocketAddress.of(tunnelIp(number), 0)!.bytes, 12);
  packet.set(SocketAddress.of(resourceIp!, 0)!.bytes, 16);
  packet[20] = 8;
  packet[25] = 1;
  for (const [start, length, field] of [[0, 20, 10], [20, 8, 22]] as const) {
    const sum = checksumOf(packet, start, length);
    packet.set([sum >> 8, sum & 255], field);
  }
  session.seal(scratch, PACKET + 32, PACKET, PACKET, 1);
  connection.tunnel.noteSent(session, true, now);
  send(client, slab.bytes.slice(scratch, scratch + PACKET + 32), connection.nominated.remote);
}

function tunnelIp(number: number): string {
  return `100.64.${1 + (number >> 8)}.${number & 255}`;
}

function finish(): void {
  isSettled = true;
  const numbers = (values: (number | undefined)[]) =>
    values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const at = (sorted: number[], share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  const echo = numbers(clients.map((client) => client.echoedMs));
  const handshake = numbers(clients.map((client) => client.handshakeMs));
  console.log(`result ${
    JSON.stringify({
      connected: echoed,
      setupMedian: at(echo, 0.5),
      setupP99: at(echo, 0.99),
      handshakeMedian: at(handshake, 0.5),
      handshakeP99: at(handshake, 0.99),
      initiations: clients.reduce((sum, client) => sum + client.initiations, 0),
    })
  }`);
}
