/**
 * Two WireGuard endpoints on a virtual clock and a virtual wire, for the tests of this room.
 * Everything is seeded: the same test sees the same keys, jitter and losses every time.
 */
import { NobleAead } from "../../mod/crypto/noble_aead.ts";
import { NodeDh } from "../../mod/crypto/node_dh.ts";
import type { Aead, AeadKey, Dh, RandomBytes } from "../../mod/crypto/types.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { hasValidMac1 } from "../../mod/wireguard/cookie.ts";
import {
  classify,
  DEFAULT_TIMINGS,
  HandshakeLimiter,
  type HandshakeLimiterOptions,
  type HandshakeOutcome,
  MessageType,
  NOBLE_SEALER,
  openInitiation,
  recipient,
  type Session,
  type StaticKeys,
  Tunnel,
  type TunnelEvent,
  type TunnelOptions,
  type WireGuardTimings,
} from "../../mod/wireguard/mod.ts";

/** mulberry32 */
export function seededRandom(seed: number): RandomBytes {
  const next = seededNumber(seed);
  return (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256));
}

/** Uniform numbers in [0, 1). */
export function seededNumber(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const testDh: Dh = new NodeDh();

/** Who sent an initiation to `keys`, found as an endpoint does it that has yet to ask who the message is from. */
export function senderOf(keys: StaticKeys, message: Uint8Array): Uint8Array | undefined {
  const self = recipient(keys.publicKey);
  if (classify(message) !== MessageType.Initiation || !hasValidMac1(message, self)) return undefined;
  return openInitiation(keys, self, testDh, NOBLE_SEALER, message)?.peerPublicKey;
}

/** noble's cipher, and a count of the keys that were not freed. */
export class TestAead implements Aead {
  readonly name = "test";
  live = 0;
  readonly #noble: NobleAead;

  constructor(slab: Slab) {
    this.#noble = new NobleAead(slab);
  }

  createKey(key: Uint8Array): AeadKey {
    const noble = this.#noble.createKey(key);
    this.live++;
    let freed = false;
    const alive = (offset: number) => {
      if (freed) throw new Error("key used after free");
      if (offset % 4 !== 0) throw new Error("offset is not 4-aligned");
    };
    return {
      seal(offset, length, low, high) {
        alive(offset);
        noble.seal(offset, length, low, high);
      },
      open(offset, length, low, high) {
        alive(offset);
        return noble.open(offset, length, low, high);
      },
      free: () => {
        if (!freed) this.live--;
        freed = true;
        noble.free();
      },
    };
  }
}

export function makeKeys(random: RandomBytes): StaticKeys {
  const privateKey = random(32);
  return { privateKey, publicKey: testDh.publicKey(privateKey) };
}

export const UNIX_START = Date.UTC(2026, 0, 1);
export const NO_JITTER: WireGuardTimings = { ...DEFAULT_TIMINGS, jitter: 0 };
export const SOURCE = Uint8Array.of(192, 0, 2, 1);

export interface EndpointOptions {
  readonly presharedKey?: Uint8Array | undefined;
  readonly timings?: WireGuardTimings;
  readonly limits?: Partial<HandshakeLimiterOptions>;
  readonly index?: number;
  readonly now?: number;
}

/** One end of a tunnel, with the few lines that a node would have around it. */
export class Endpoint {
  readonly slab = new Slab(65536);
  readonly aead = new TestAead(this.slab);
  readonly area = this.slab.reserve(4096);
  readonly limiter: HandshakeLimiter;
  readonly tunnel: Tunnel;
  readonly outcomes: HandshakeOutcome[] = [];
  readonly events: TunnelEvent["type"][] = [];
  /** Data packets as text, and keepalives as "". */
  readonly received: string[] = [];

  constructor(
    readonly keys: StaticKeys,
    peerPublicKey: Uint8Array,
    readonly random: RandomBytes,
    options: EndpointOptions,
    unixNow: () => number,
  ) {
    this.limiter = new HandshakeLimiter({ publicKey: keys.publicKey, random, ...options.limits });
    const tunnelOptions: TunnelOptions = {
      keys,
      peerPublicKey,
      presharedKey: options.presharedKey,
      index: options.index ?? 0x123456,
      limiter: this.limiter,
      slab: this.slab,
      aead: this.aead,
      dh: testDh,
      random,
      unixNow,
      timings: options.timings ?? NO_JITTER,
      now: options.now ?? 0,
    };
    this.tunnel = new Tunnel(tunnelOptions);
  }

  /** The transport message that carries `text`, or undefined without a session. */
  send(text: string, now: number): Uint8Array | undefined {
    const session = this.tunnel.sendSession(now);
    return session && this.sendOn(session, text, now);
  }

  sendOn(session: Session, text: string, now: number): Uint8Array {
    const data = new TextEncoder().encode(text);
    this.slab.bytes.set(data, this.area + 16);
    session.seal(this.area, data.length + 32, data.length, data.length, 1);
    this.tunnel.noteSent(session, data.length > 0, now);
    return this.slab.bytes.slice(this.area, this.area + data.length + 32);
  }

  /** Handles one datagram; what `Session.open` said when it was a transport message of a known session. */
  receive(datagram: Uint8Array, now: number, source: Uint8Array = SOURCE): number | undefined {
    if (classify(datagram) !== MessageType.Transport) {
      this.outcomes.push(this.tunnel.handleHandshake(datagram, source, now));
      return undefined;
    }
    const index = new DataView(datagram.buffer, datagram.byteOffset).getUint32(4, true);
    const session = this.tunnel.session(index);
    if (session === undefined) return undefined;
    this.slab.bytes.set(datagram, this.area);
    const length = session.open(this.area, datagram.length);
    if (length >= 0) {
      this.received.push(
        new TextDecoder().decode(this.slab.bytes.slice(session.openedAt, session.openedAt + length)),
      );
      this.tunnel.noteReceived(session, length > 0, now);
    }
    return length;
  }

  transmits(): Uint8Array[] {
    const all: Uint8Array[] = [];
    for (let next = this.tunnel.pollTransmit(); next; next = this.tunnel.pollTransmit()) all.push(next);
    for (let next = this.tunnel.pollEvent(); next; next = this.tunnel.pollEvent()) {
      this.events.push(next.type);
    }
    return all;
  }

  /** Data packets received, without keepalives. */
  get data(): string[] {
    return this.received.filter((text) => text !== "");
  }
}

interface InFlight {
  readonly at: number;
  readonly order: number;
  readonly to: Endpoint;
  readonly datagram: Uint8Array;
}

export interface WireOptions {
  /** Milliseconds one way. */
  readonly latency?: number;
  /** Each datagram's fate: delays of its copies on top of the latency; none means that it is lost. */
  readonly fate?: () => number[];
}

/** Two endpoints and the wire between them. `client` is the initiator by habit, not by nature. */
export class Pair {
  now = 0;
  readonly client: Endpoint;
  readonly gateway: Endpoint;
  /** Everything that was put on the wire: who sent what when. */
  readonly log: { at: number; from: "client" | "gateway"; type: number; datagram: Uint8Array }[] = [];
  /** While true for a sender, what it sends is lost. */
  readonly muted = { client: false, gateway: false };
  #wire: InFlight[] = [];
  #order = 0;
  readonly #options: WireOptions;

  constructor(
    options: {
      client?: EndpointOptions;
      gateway?: EndpointOptions;
      wire?: WireOptions;
      seed?: number;
    } = {},
  ) {
    const random = seededRandom(options.seed ?? 1);
    const [clientKeys, gatewayKeys] = [makeKeys(random), makeKeys(random)];
    const unixNow = () => UNIX_START + this.now;
    this.#options = options.wire ?? {};
    this.client = new Endpoint(clientKeys, gatewayKeys.publicKey, random, options.client ?? {}, unixNow);
    this.gateway = new Endpoint(gatewayKeys, clientKeys.publicKey, random, {
      index: 0xabcdef,
      ...options.gateway,
    }, unixNow);
  }

  /** Both ends have a confirmed session, of which the client is the initiator. */
  static connected(options: ConstructorParameters<typeof Pair>[0] = {}): Pair {
    const pair = new Pair(options);
    pair.client.tunnel.initiate(0);
    pair.settle();
    return pair;
  }

  /** Sends data; false when there is no session. */
  send(from: "client" | "gateway", text: string): boolean {
    const datagram = this[from].send(text, this.now);
    if (datagram) this.#put(from, datagram);
    return datagram !== undefined;
  }

  /** Puts a datagram on the wire as if `from` had sent it. */
  inject(from: "client" | "gateway", datagram: Uint8Array): void {
    this.#put(from, datagram);
  }

  /** Delivers what is on the wire and due, with all its consequences. */
  settle(): void {
    this.#flush();
    for (;;) {
      const next = this.#wire.filter((entry) => entry.at <= this.now)
        .sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (next === undefined) return;
      this.#wire = this.#wire.filter((entry) => entry !== next);
      next.to.receive(next.datagram, this.now);
      next.to.tunnel.handleTimeout(this.now);
      this.#flush();
    }
  }

  /** Lets time pass up to `until`, stopping at each deadline and each arrival. */
  advance(until: number): void {
    for (let steps = 0;; steps++) {
      if (steps > 100_000) throw new Error("the endpoints never come to rest");
      const deadlines = [this.client, this.gateway].map((end) => end.tunnel.pollTimeout() ?? Infinity);
      const next = Math.min(...deadlines, ...this.#wire.map((entry) => entry.at));
      if (next > until) break;
      this.now = Math.max(this.now, next);
      for (const end of [this.client, this.gateway]) {
        end.tunnel.handleTimeout(this.now);
        const timeout = end.tunnel.pollTimeout();
        if (timeout !== undefined && timeout <= this.now) {
          throw new Error(`deadline ${timeout} right after handleTimeout(${this.now})`);
        }
      }
      this.settle();
    }
    this.now = until;
  }

  /** Times at which `from` sent messages of this type, since the beginning. */
  sentAt(from: "client" | "gateway", type: number, keepalivesOnly = false): number[] {
    return this.log
      .filter((entry) => entry.from === from && entry.type === type)
      .filter((entry) => !keepalivesOnly || entry.datagram.length === 32)
      .map((entry) => entry.at);
  }

  #flush(): void {
    for (const from of ["client", "gateway"] as const) {
      for (const datagram of this[from].transmits()) this.#put(from, datagram);
    }
  }

  #put(from: "client" | "gateway", datagram: Uint8Array): void {
    this.log.push({ at: this.now, from, type: classify(datagram), datagram });
    if (this.muted[from]) return;
    const to = from === "client" ? this.gateway : this.client;
    for (const delay of this.#options.fate?.() ?? [0]) {
      const at = this.now + (this.#options.latency ?? 0) + delay;
      this.#wire.push({ at, order: this.#order++, to, datagram: datagram.slice() });
    }
  }
}
