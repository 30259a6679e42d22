/** What the wireguard room costs: a packet without its cipher, and handshakes with X25519 by node:crypto. */
import type { Aead } from "../../mod/crypto/types.ts";
import { NodeDh } from "../../mod/crypto/node_dh.ts";
import { Slab } from "../../mod/packet/slab.ts";
import { HandshakeLimiter, Session, type StaticKeys, Tunnel } from "../../mod/wireguard/mod.ts";
import { type Figure, measure, median } from "./figure.ts";

const SEGMENT = 1280, STRIDE = 1312, SEGMENTS = 46;
const SOURCE = Uint8Array.of(192, 0, 2, 1);
const HANDSHAKES = 60, SAMPLES = 7;

const slab = new Slab(1 << 20);
const area = slab.reserve(SEGMENTS * STRIDE + 64);
const dh = new NodeDh();
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

/** Does nothing, so that what is left is the session's own work. */
const NO_CIPHER: Aead = {
  name: "none",
  createKey: () => ({ seal: () => {}, open: () => true, free: () => {} }),
};

function makeSession(): Session {
  const transport = { sendKey: new Uint8Array(32), receiveKey: new Uint8Array(32), remoteIndex: 0x12345601 };
  const about = { index: 0x12345602, initiator: true, establishedAt: 0, sequence: 0 };
  return new Session(slab, NO_CIPHER, transport, about);
}

function seal(name: string, segments: number): Figure {
  const session = makeSession();
  return measure(name, () => session.seal(area, STRIDE, SEGMENT, SEGMENT, segments), segments);
}

/** Numbers the messages as a peer would; those stores are part of the figure. */
function open(name: string, shift: number): Figure {
  const session = makeSession();
  let counter = 0;
  return measure(name, () => {
    for (let i = 0; i < SEGMENTS; i++) {
      const at = area + i * STRIDE + shift;
      slab.view.setUint32(at + 8, counter++, true);
      slab.view.setUint32(at + 12, 0, true); // moving unaligned plaintexts down leaves bytes here
      if (session.open(at, STRIDE) !== SEGMENT) throw new Error("Unexpected refusal.");
    }
  }, SEGMENTS);
}

function makeKeys(): StaticKeys {
  const privateKey = random(32);
  return { privateKey, publicKey: dh.publicKey(privateKey) };
}

/** Microseconds that each step of complete handshakes takes. */
function handshakes(): Figure[] {
  const clientKeys = makeKeys(), gatewayKeys = makeKeys();
  let now = 0;
  const make = (keys: StaticKeys, peerPublicKey: Uint8Array, index: number) =>
    new Tunnel({
      keys,
      peerPublicKey,
      presharedKey: new Uint8Array(32).fill(1),
      index,
      limiter: new HandshakeLimiter({ publicKey: keys.publicKey, random }),
      slab,
      aead: NO_CIPHER,
      dh,
      random,
      unixNow: () => 1.7e12 + now,
      now,
    });
  const client = make(clientKeys, gatewayKeys.publicKey, 1),
    gateway = make(gatewayKeys, clientKeys.publicKey, 2);
  const steps = { initiate: [] as number[], respond: [] as number[], complete: [] as number[] };
  for (let sample = 0; sample <= SAMPLES; sample++) {
    let initiate = 0, respond = 0, complete = 0;
    for (let i = 0; i < HANDSHAKES; i++) {
      now += 1000; // another second for the limiter, another timestamp
      const started = performance.now();
      client.initiate(now);
      const initiated = performance.now();
      gateway.handleHandshake(client.pollTransmit()!, SOURCE, now);
      const responded = performance.now();
      const outcome = client.handleHandshake(gateway.pollTransmit()!, SOURCE, now);
      const completed = performance.now();
      if (outcome !== "response-accepted") throw new Error(`Unexpected outcome: ${outcome}.`);
      client.pollTransmit();
      initiate += initiated - started;
      respond += responded - initiated;
      complete += completed - responded;
    }
    if (sample === 0) continue; // warm-up
    steps.initiate.push(initiate * 1000 / HANDSHAKES);
    steps.respond.push(respond * 1000 / HANDSHAKES);
    steps.complete.push(complete * 1000 / HANDSHAKES);
  }
  return Object.entries(steps).map(([step, samples]) => ({
    name: `wireguard.handshake.${step}`,
    value: median(samples),
    unit: "µs",
    samples,
  }));
}

/** What a flood costs: a message that only the limiter sees. */
function limiter(name: string, underLoad: boolean): Figure {
  const gatewayKeys = makeKeys();
  const message = new Uint8Array(148);
  message[0] = 1;
  const limiter = new HandshakeLimiter({ publicKey: gatewayKeys.publicKey, random, perSecond: 0 });
  if (underLoad) {
    const peer = new Tunnel({
      keys: makeKeys(),
      peerPublicKey: gatewayKeys.publicKey,
      index: 3,
      limiter,
      slab,
      aead: NO_CIPHER,
      dh,
      random,
      unixNow: () => 0,
      now: 0,
    });
    peer.initiate(0);
    message.set(peer.pollTransmit()!);
  }
  let now = 0; // 50,000 a second
  return measure(name, () => limiter.admit(message, SOURCE, now += 0.02));
}

export function figures(): Figure[] {
  return [
    seal("wireguard.seal.overhead.1", 1),
    seal("wireguard.seal.overhead.46", SEGMENTS),
    open("wireguard.open.overhead.aligned", 0),
    open("wireguard.open.overhead.unaligned", 1),
    ...handshakes(),
    limiter("wireguard.flood.invalid_mac1", false),
    limiter("wireguard.flood.cookie_reply", true),
  ];
}
