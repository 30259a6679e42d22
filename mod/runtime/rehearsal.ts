/**
 * A dress rehearsal before the first client: two throw-away nodes in this thread find each other through a make-believe
 * relay, shake hands and exchange a packet, a few times over.
 *
 * The first connection of a fresh process would otherwise pay for what every later one finds done: functions compiled,
 * tables filled, the cipher library's algorithms fetched. It runs while the portal is being dialled, and takes less
 * time than that. Nothing leaves the process, and nothing stays but what the engine has learned.
 */
import type { Aead, Dh, RandomBytes, Sealer } from "../crypto/types.ts";
import { CLIENT_ACTIVE, CLIENT_IDLE, GATEWAY_ACTIVE, GATEWAY_IDLE } from "../ice/mod.ts";
import { Node, type NodeEvent } from "../node/mod.ts";
import { ADDRESS_RECORD_SIZE, Counters, type Slab, SocketAddress, type Transmit } from "../packet/mod.ts";
import { writeAddressRecord } from "../packet/address.ts";
import { AttributeType, decodeStun, encodeStun, Method } from "../stun/mod.ts";

/** Enough for what is called a few times per connection; the rest is called often enough by itself. */
const ROUNDS = 3;
const MAX_DATAGRAM = 1536;
/** Virtual time: steps and their length, ms. */
const STEPS = 100, STEP = 10;
const HEADER = 16, TAG = 16, PACKET = 64;
const RELAY = SocketAddress.parse("192.0.2.1:3478")!;
const ADDRESSES = {
  client: SocketAddress.parse("192.0.2.2:52625")!,
  gateway: SocketAddress.parse("192.0.2.3:52625")!,
} as const;
const CREDENTIALS = {
  client: { ufrag: "clnt", password: "rehearsal-client-00000" },
  gateway: { ufrag: "gtwy", password: "rehearsal-gateway-0000" },
} as const;

type Role = keyof typeof ADDRESSES;

export interface Props {
  readonly slab: Slab;
  readonly aead: Aead;
  readonly dh: Dh;
  readonly sealer: Sealer | undefined;
  readonly random: RandomBytes;
}

/** True when the last round came to its end: a packet was opened. Otherwise there is something wrong with this file. */
export function rehearse(props: Props): boolean {
  const { slab } = props;
  const stage: Stage = {
    ...props,
    input: slab.reserve(MAX_DATAGRAM),
    output: slab.reserve(MAX_DATAGRAM),
    from: slab.reserve(ADDRESS_RECORD_SIZE),
    local: slab.reserve(ADDRESS_RECORD_SIZE),
  };
  let isOpened = false;
  for (let round = 0; round < ROUNDS; round++) isOpened = new Round(stage).play();
  return isOpened;
}

interface Stage extends Props {
  /** Slab offsets: a datagram that arrives, one that leaves, address records. */
  readonly input: number;
  readonly output: number;
  readonly from: number;
  readonly local: number;
}

class Round {
  readonly #stage: Stage;
  readonly #nodes: Readonly<Record<Role, Node>>;
  #now = 1;
  #opened = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    const { random, dh } = stage;
    const keys = (privateKey = random(32)) => ({ privateKey, publicKey: dh.publicKey(privateKey) });
    const client = keys(), gateway = keys(), presharedKey = random(32);
    const make = (role: Role) =>
      new Node({
        ...stage,
        role,
        keys: role === "client" ? client : gateway,
        unixNow: () => this.#now,
        counters: new Counters(new ArrayBuffer(Counters.CAPACITY * 8)),
        timings: role === "client"
          ? { active: CLIENT_ACTIVE, idle: CLIENT_IDLE }
          : { active: GATEWAY_ACTIVE, idle: GATEWAY_IDLE },
      });
    this.#nodes = { client: make("client"), gateway: make("gateway") };
    for (const role of ["gateway", "client"] as const) {
      this.#nodes[role].updateRelays(
        [],
        [{ id: "relay", v4: RELAY, username: "u", password: "p" }],
        this.#now,
      );
      this.#settle(role);
    }
    for (const role of ["gateway", "client"] as const) {
      this.#nodes[role].upsert({
        peerId: other(role),
        publicKey: role === "client" ? gateway.publicKey : client.publicKey,
        presharedKey,
        local: CREDENTIALS[role],
        remote: CREDENTIALS[other(role)],
      }, this.#now);
    }
  }

  /** True when a packet was opened at each end. */
  play(): boolean {
    for (let step = 0; step < STEPS && this.#opened < 2; step++) {
      this.#now += STEP;
      for (const role of ["client", "gateway"] as const) {
        if ((this.#nodes[role].pollTimeout() ?? Infinity) <= this.#now) {
          this.#nodes[role].handleTimeout(this.#now);
        }
        this.#settle(role);
        if (this.#nodes[role].connection(other(role))?.isEstablished) this.#sendPacket(role);
      }
    }
    for (const role of ["client", "gateway"] as const) this.#nodes[role].close(other(role));
    return this.#opened >= 2;
  }

  #settle(role: Role): void {
    const node = this.#nodes[role];
    for (let event = node.pollEvent(); event; event = node.pollEvent()) this.#signal(role, event);
    for (let out = node.pollTransmit(); out; out = node.pollTransmit()) this.#carry(role, out);
  }

  #signal(role: Role, event: NodeEvent): void {
    if (event.type !== "candidates") return;
    this.#nodes[other(role)].addRemoteCandidates(role, event.candidates, this.#now);
  }

  #carry(role: Role, { dst, payload }: Transmit): void {
    if (dst.equals(ADDRESSES[other(role)])) return this.#deliver(other(role), ADDRESSES[role], payload);
    const request = decodeStun(payload);
    if (request?.method !== Method.BINDING) return;
    const answer = encodeStun({
      class: "success",
      method: Method.BINDING,
      transactionId: request.transactionId,
      attributes: [[AttributeType.XOR_MAPPED_ADDRESS, ADDRESSES[role]]],
    });
    this.#deliver(role, RELAY, answer);
  }

  #deliver(to: Role, from: SocketAddress, payload: Uint8Array): void {
    const { slab, input } = this.#stage;
    slab.bytes.set(payload, input);
    writeAddressRecord(slab, this.#stage.from, from);
    writeAddressRecord(slab, this.#stage.local, ADDRESSES[to]);
    const node = this.#nodes[to];
    if (node.handleDatagram(input, payload.length, this.#stage.from, this.#stage.local, this.#now)) {
      this.#opened++;
    }
    this.#settle(to);
  }

  #sendPacket(role: Role): void {
    const { slab, output } = this.#stage;
    const node = this.#nodes[role], connection = node.connection(other(role))!;
    if (!node.prepareSend(connection, this.#now)) return;
    const session = node.session!, length = HEADER + PACKET + TAG;
    slab.bytes.fill(0, output, output + length);
    session.seal(output, length, PACKET, PACKET, 1);
    node.noteSent(connection, session, PACKET, this.#now);
    this.#deliver(other(role), ADDRESSES[role], slab.bytes.slice(output, output + length));
  }
}

function other(role: Role): Role {
  return role === "client" ? "gateway" : "client";
}
