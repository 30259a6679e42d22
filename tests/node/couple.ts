/**
 * Two connections face to face, without the nodes around them: what one wants to send reaches the other's agent or
 * tunnel at once, if it is sent between addresses that the wire joins. No relays, no demultiplexing.
 */
import { NobleAead, NobleDh } from "../../mod/crypto/mod.ts";
import {
  CLIENT_ACTIVE,
  CLIENT_IDLE,
  GATEWAY_ACTIVE,
  GATEWAY_IDLE,
  hostCandidate,
} from "../../mod/ice/mod.ts";
import type { Connection } from "../../mod/node/mod.ts";
import { ConnectionFactory } from "../../mod/node/connection_factory.ts";
import type { ConnectionNews } from "../../mod/node/connection.ts";
import type { ConnectionRequest } from "../../mod/node/types.ts";
import { Slab, SocketAddress } from "../../mod/packet/mod.ts";
import { decodeStun } from "../../mod/stun/mod.ts";
import { classify, MessageType } from "../../mod/wireguard/mod.ts";
import { seededRandom } from "../wireguard/fixture.ts";

export const CLIENT_ADDRESS = SocketAddress.parse("192.0.2.10:52625")!;
export const GATEWAY_ADDRESS = SocketAddress.parse("192.0.2.20:52625")!;
const CLIENT_ICE = { ufrag: "clnt", password: "client-password-000000" };
const GATEWAY_ICE = { ufrag: "gtwy", password: "gateway-password-00000" };

export type Side = "client" | "gateway";

export class Couple {
  now = 1_000;
  /** False: nothing arrives. */
  isWired = true;
  readonly news: (ConnectionNews & { readonly at: number; readonly side: Side })[] = [];
  /** WireGuard messages that got through, in order. */
  readonly handshakes: { readonly from: Side; readonly type: MessageType }[] = [];
  readonly requests: Readonly<Record<Side, ConnectionRequest>>;
  readonly #factories: Readonly<Record<Side, ConnectionFactory>>;
  readonly #ends: Record<Side, Connection>;

  constructor() {
    const dh = new NobleDh(), random = seededRandom(5);
    const keys = { client: pair(random(32)), gateway: pair(random(32)) };
    function pair(privateKey: Uint8Array) {
      return { privateKey, publicKey: dh.publicKey(privateKey) };
    }
    const factory = (role: Side) => {
      const slab = new Slab(1 << 16);
      return new ConnectionFactory({
        role,
        keys: keys[role],
        slab,
        aead: new NobleAead(slab),
        dh,
        random,
        unixNow: () => 1_700_000_000_000 + this.now,
        timings: role === "gateway"
          ? { active: GATEWAY_ACTIVE, idle: GATEWAY_IDLE }
          : { active: CLIENT_ACTIVE, idle: CLIENT_IDLE },
        wireguard: { jitter: 0 },
      });
    };
    const presharedKey = random(32);
    this.requests = {
      client: {
        peerId: "gateway",
        publicKey: keys.gateway.publicKey,
        presharedKey,
        local: CLIENT_ICE,
        remote: GATEWAY_ICE,
      },
      gateway: {
        peerId: "client",
        publicKey: keys.client.publicKey,
        presharedKey,
        local: GATEWAY_ICE,
        remote: CLIENT_ICE,
      },
    };
    this.#factories = { client: factory("client"), gateway: factory("gateway") };
    this.#ends = { client: this.make("client"), gateway: this.make("gateway") };
  }

  get client(): Connection {
    return this.#ends.client;
  }

  get gateway(): Connection {
    return this.#ends.gateway;
  }

  /** A fresh connection, not wired to anything. */
  make(side: Side, changes: Partial<ConnectionRequest> = {}): Connection {
    return this.#factories[side].make({ ...this.requests[side], ...changes }, this.now);
  }

  /** Both know each other's host address. */
  introduce(): this {
    this.client.offer(hostCandidate(CLIENT_ADDRESS));
    this.gateway.offer(hostCandidate(GATEWAY_ADDRESS));
    this.client.agent.addRemoteCandidate(hostCandidate(GATEWAY_ADDRESS), this.now);
    this.gateway.agent.addRemoteCandidate(hostCandidate(CLIENT_ADDRESS), this.now);
    return this;
  }

  /** Introduced, nominated, with a session that both can send on. */
  connect(): this {
    this.introduce().run(500);
    return this;
  }

  run(ms: number): void {
    const end = this.now + ms;
    this.#settle(true);
    for (;;) {
      const due = Math.min(this.client.wakeAt ?? Infinity, this.gateway.wakeAt ?? Infinity);
      if (due > end) break;
      this.now = Math.max(this.now, due);
      this.#settle();
    }
    this.now = end;
  }

  #settle(isForced = false): void {
    for (const side of ["client", "gateway"] as const) {
      const connection = this.#ends[side];
      if (isForced || (connection.wakeAt ?? Infinity) <= this.now) connection.drive(this.now);
    }
    for (let moved = true; moved;) {
      moved = false;
      for (const side of ["client", "gateway"] as const) {
        const connection = this.#ends[side];
        for (let news = connection.news.shift(); news; news = connection.news.shift()) {
          this.news.push({ ...news, at: this.now, side });
        }
        for (let out = connection.outgoing.shift(); out; out = connection.outgoing.shift()) {
          moved = true;
          if (this.isWired) this.#deliver(side, out.base, out.remote, out.payload);
        }
      }
    }
  }

  #deliver(from: Side, base: SocketAddress, remote: SocketAddress, payload: Uint8Array): void {
    const to = this.#ends[from === "client" ? "gateway" : "client"];
    const type = classify(payload);
    if (type === MessageType.None) {
      const message = decodeStun(payload);
      if (message) to.agent.handleStun(message, base, remote, this.now);
    } else {
      this.handshakes.push({ from, type });
      if (type === MessageType.Transport) {
        const session = to.tunnel.session(
          new DataView(payload.buffer, payload.byteOffset).getUint32(4, true),
        );
        // The wire carries no data but keepalives, which count as soon as they are authentic.
        if (session) to.tunnel.noteReceived(session, false, this.now);
      } else to.tunnel.handleHandshake(payload, base.bytes, this.now);
    }
    to.heardAt = this.now;
    to.drive(this.now);
  }
}
