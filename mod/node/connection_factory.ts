/** Makes connections: everything that all of them share (keys, limiter, indices, clocks) joined to one request. */
import type { Aead, Dh, RandomBytes, Sealer } from "../crypto/types.ts";
import { IceAgent } from "../ice/mod.ts";
import type { Slab } from "../packet/slab.ts";
import {
  HandshakeLimiter,
  IndexAllocator,
  type StaticKeys,
  Tunnel,
  type WireGuardTimings,
} from "../wireguard/mod.ts";
import { Connection, type Timings } from "./connection.ts";
import type { ConnectionRequest } from "./types.ts";

export interface ConnectionFactoryOptions {
  /** A gateway is the controlled ICE agent and waits for handshakes; a client controls and initiates. */
  readonly role: "gateway" | "client";
  readonly keys: StaticKeys;
  readonly slab: Slab;
  readonly aead: Aead;
  readonly dh: Dh;
  /** Default: in JavaScript. */
  readonly sealer?: Sealer | undefined;
  readonly random: RandomBytes;
  /** Wall clock in ms since 1970: only for the TAI64N stamps of our handshakes. */
  readonly unixNow: () => number;
  readonly timings: Timings;
  readonly wireguard?: Partial<WireGuardTimings>;
}

export class ConnectionFactory {
  /** One for the whole node: a flood counts whomever it claims to be for. */
  readonly limiter: HandshakeLimiter;
  readonly #options: ConnectionFactoryOptions;
  readonly #indices: IndexAllocator;

  constructor(options: ConnectionFactoryOptions) {
    this.#options = options;
    const { keys, random, sealer } = options;
    this.limiter = new HandshakeLimiter({ publicKey: keys.publicKey, random, sealer });
    this.#indices = new IndexAllocator(options.random);
  }

  /** Throws an InvalidPeerKeyError when the peer's public key can't be one. */
  make(request: ConnectionRequest, now: number): Connection {
    const { keys, slab, aead, dh, sealer, random, unixNow, wireguard, timings, role } = this.#options;
    const controlling = role === "client";
    const index = this.#indices.allocate();
    try {
      const tunnel = new Tunnel({
        keys,
        peerPublicKey: request.publicKey,
        presharedKey: request.presharedKey,
        index,
        limiter: this.limiter,
        slab,
        aead,
        dh,
        sealer,
        random,
        unixNow,
        timings: wireguard,
        now,
      });
      const { local, remote } = request;
      const agent = new IceAgent({ controlling, local, remote, timing: timings.active, random, now });
      return new Connection(request, agent, tunnel, controlling, timings, now);
    } catch (error) {
      this.#indices.release(index);
      throw error;
    }
  }

  /** Wipes its keys and gives its index back. */
  release(connection: Connection): void {
    connection.tunnel.close();
    this.#indices.release(connection.tunnel.index);
  }
}
