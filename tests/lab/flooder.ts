/**
 * `flooder.ts <kind> <ip> <port> <packets per second> <gateway's public key>`: one stranger who sends much until SIGINT.
 * SIGUSR1 makes it pause, SIGUSR2 go on.
 *
 * Kinds: `garbage` (148 random bytes), `initiations` (handshakes by keys that the gateway does not know, with a right
 * mac1), `stun` (BINDING requests with a made-up user name and integrity). Packets come from a pool, since making them
 * costs more than dropping them should, and leave in trains, which the cable cuts into the datagrams that they are: a
 * real stranger is another machine, so this one takes as little of ours as it can. They leave every millisecond, since
 * longer gaps mean longer bursts, which hold up a transfer more than their cost.
 *
 * Prints `flooding`, and at the end `flooded {json}` with what was sent and what was answered.
 */
import { createLibcryptoDh } from "../../ffi/crypto_libcrypto_dh.ts";
import { SlabPointers } from "../../ffi/slab_pointers.ts";
import { UdpSocket } from "../../ffi/udp/mod.ts";
import { NobleAead, NodeDh } from "../../mod/crypto/mod.ts";
import { Counters, Path, Slab, SocketAddress, TransmitQueue } from "../../mod/packet/mod.ts";
import { parseKey } from "../../mod/portal/key.ts";
import { AttributeType, encodeStun, Method, shortTermKey } from "../../mod/stun/mod.ts";
import { HandshakeLimiter, Tunnel } from "../../mod/wireguard/mod.ts";

const POOL = 256, MAX_TRAIN = 64, TICK_MS = 1, MAX_LATE_MS = 50, LENGTH = 148, LATE_ANSWERS_MS = 500;

const [kind, ip, port, rateText, keyText] = Deno.args as [string, ...string[]];
const rate = Number(rateText);
const slab = new Slab(8 << 20);
SlabPointers.of(slab);
const counters = new Counters();
const socket = UdpSocket.open({ family: 4, slab, counters, port: 0 });
const queue = new TransmitQueue(slab, { areaLength: 512 * 1024, capacity: 4096 });
const path = Path.of(SocketAddress.of(ip!, Number(port))!);
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

function makePool(): Uint8Array[] {
  const gatewayKey = parseKey(keyText!)!;
  const dh = createLibcryptoDh() ?? new NodeDh(), aead = new NobleAead(slab);
  return Array.from({ length: POOL }, (_, i) => {
    if (kind === "garbage") return random(LENGTH);
    if (kind === "stun") {
      return encodeStun({
        class: "request",
        method: Method.BINDING,
        transactionId: random(12),
        attributes: [[AttributeType.USERNAME, `${1000 + i}:stranger`], [AttributeType.PRIORITY, 1]],
        integrityKey: shortTermKey("no password of anybody"),
        fingerprint: true,
      });
    }
    const privateKey = random(32), publicKey = dh.publicKey(privateKey);
    const limiter = new HandshakeLimiter({ publicKey, random });
    const tunnel = new Tunnel({
      ...{
        keys: { privateKey, publicKey },
        peerPublicKey: gatewayKey,
        presharedKey: new Uint8Array(32),
        index: i,
      },
      ...{ limiter, slab, aead, dh, random, unixNow: Date.now, now: 0 },
    });
    tunnel.initiate(0);
    return tunnel.pollTransmit()!;
  });
}

const pool = makePool(), length = pool[0]!.length;
let taken = 0, sent = 0, answers = 0, answerBytes = 0;

/** What the socket does not take is not sent later: a stranger has no patience. */
function send(count: number): void {
  const at = queue.reserve(count * length);
  for (let i = 0; i < count; i++) slab.bytes.set(pool[taken++ % POOL]!, at + i * length);
  queue.push(at, count * length, length, path, 0);
  if (socket.send(queue, 0) === queue.count) sent += count;
  queue.clear();
}

function receive(): void {
  for (let count = socket.receive(); count > 0; count = socket.receive()) {
    for (let i = 0; i < count; i++) {
      answers += Math.ceil(socket.lengthOf(i) / socket.segmentOf(i));
      answerBytes += socket.lengthOf(i);
    }
  }
}

let timer: ReturnType<typeof setInterval> | undefined, startedAt = 0, next = 0;

function flood(): void {
  if (timer !== undefined) return;
  startedAt = performance.now();
  next = 0;
  timer = setInterval(sendDue, TICK_MS);
}

function sendDue(): void {
  const elapsed = performance.now() - startedAt;
  // On a machine that is too slow for the rate, what is late is left out.
  next = Math.max(next, Math.floor((elapsed - MAX_LATE_MS) * rate / 1000));
  const due = Math.floor(elapsed * rate / 1000);
  for (; next < due; next += MAX_TRAIN) send(Math.min(due - next, MAX_TRAIN));
  next = due;
  receive();
}

function pause(): void {
  if (timer === undefined) return;
  clearInterval(timer);
  timer = undefined;
  sendDue();
}

Deno.addSignalListener("SIGUSR1", pause);
Deno.addSignalListener("SIGUSR2", flood);
Deno.addSignalListener("SIGINT", () => {
  pause();
  setTimeout(() => {
    receive();
    console.log(`flooded ${JSON.stringify({ sent, sentBytes: sent * length, answers, answerBytes })}`);
    socket.close();
    Deno.exit();
  }, LATE_ANSWERS_MS);
});
setInterval(() => {}, 1 << 30); // a pause is not the end
flood();
console.log("flooding");
