/**
 * The load on a relay: a TURN client and its peer in one process, which pump datagrams from one to the other through
 * the relay and count what arrives.
 *
 *     client ──ChannelData──► relay ──UDP──► peer      "up"       and back: "down"
 *
 * The sender keeps a window of datagrams under way, as a congestion-controlled transfer would: the relay always has
 * something to do, and what it can't take shows as a lower rate, not as a flood of losses. The best of several
 * windows is looked for first, since one that suits large socket buffers overflows small ones. Every datagram carries
 * a number; order is kept on the way, so the newest number that has arrived tells what is still under way.
 *
 * Reads its task as JSON from the command line, prints one JSON line.
 */
import { POLLIN, POLLOUT } from "../../../ffi/libc.ts";
import { Poller } from "../../../ffi/poll.ts";
import { UdpSocket } from "../../../ffi/udp/mod.ts";
import { parseIp, SocketAddress } from "../../../mod/packet/address.ts";
import { Counters } from "../../../mod/packet/counters.ts";
import { Path } from "../../../mod/packet/path.ts";
import { Slab } from "../../../mod/packet/slab.ts";
import { TransmitQueue } from "../../../mod/packet/transmit_queue.ts";
import { Allocation } from "../../../mod/turn/mod.ts";
import { cpuSeconds } from "../tunnel/load.ts";

export type Direction = "up" | "down";

export interface LoadTask {
  /** `192.0.2.1:3478` */
  readonly relay: string;
  readonly clientIp: string;
  readonly peerIp: string;
  readonly username: string;
  readonly password: string;
  readonly direction: Direction;
  /** Payload bytes of a datagram. */
  readonly size: number;
  readonly seconds: number;
  /** Datagrams under way; the best of several when absent. */
  readonly window?: number | undefined;
  /** Process of the relay, to account CPU time to. */
  readonly relayPid: number;
}

export interface LoadReport {
  readonly window: number;
  /** Payload that arrived. */
  readonly gbps: number;
  /** Of the datagrams sent, how many did not arrive: 0 to 1. */
  readonly loss: number;
  /** CPU seconds of the relay per 10⁹ bytes of payload. */
  readonly cpuPerGb: number;
  /** Share of one core that the relay and this process used: 0 to 1 (more with threads). */
  readonly relayBusy: number;
  readonly loadBusy: number;
}

const WINDOWS = [32, 64, 128, 256, 512, 1024, 2048];
const TRIAL_SECONDS = 0.4;
/** Share of the best rate that is as good as it. */
const AS_GOOD = 0.97;
/** Datagrams handed over at once. */
const BATCH = 32;
/** Nothing arrived for so long: what was under way is lost. */
const LOST_MS = 20;
const ANSWER_MS = 2000;
const HEADER = 4;

class Endpoint {
  readonly slab = new Slab(UdpSocket.slabBytes(64) + (2 << 20));
  readonly queue = new TransmitQueue(this.slab, { areaLength: 1 << 20, capacity: 512 });
  readonly socket: UdpSocket;
  readonly address: SocketAddress;
  readonly #poller: Poller;

  constructor(ip: string) {
    this.socket = UdpSocket.open({
      family: 4,
      slab: this.slab,
      counters: new Counters(),
      port: 0,
      address: parseIp(ip)!,
      receiveBuffers: 64,
    });
    this.address = SocketAddress.of(ip, this.socket.port)!;
    this.#poller = new Poller([this.socket.fd]);
  }

  wait(event: number, ms: number): boolean {
    this.#poller.watch(0, event);
    return this.#poller.wait(ms) > 0;
  }

  /** Sends everything queued. */
  flush(): void {
    const { queue } = this;
    for (let next = 0; (next = this.socket.send(queue, next)) < queue.count;) this.wait(POLLOUT, 100);
    queue.clear();
  }
}

/** An allocation of `client` with a channel to `peer`. */
function connect(client: Endpoint, peer: SocketAddress, task: LoadTask) {
  const server = SocketAddress.parse(task.relay)!;
  const allocation = new Allocation({
    relayId: "relay",
    addresses: { v4: server },
    username: task.username,
    password: task.password,
    realm: "firezone",
    software: "bench",
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    now: performance.now(),
  });
  const exchange = () => {
    for (let transmit; (transmit = allocation.pollTransmit());) {
      client.queue.pushDatagram(transmit);
      client.flush();
      if (!client.wait(POLLIN, ANSWER_MS)) throw new Error("the relay does not answer");
      const messages = client.socket.receive();
      for (let i = 0; i < messages; i++) {
        const at = client.socket.offsetOf(i);
        const bytes = client.slab.bytes.subarray(at, at + client.socket.lengthOf(i));
        allocation.handleDatagram(server, client.address, bytes, performance.now());
      }
    }
  };
  exchange();
  const relayed = allocation.relayedAddress(4);
  const channel = allocation.channelTo(peer, performance.now());
  exchange();
  if (!relayed || !allocation.peerOf(channel, performance.now())) {
    throw new Error("the relay gave no channel");
  }
  return {
    relayed,
    channel,
    release() {
      allocation.release(performance.now());
      exchange();
    },
  };
}

/** Sends one way, through whatever lies between. */
class Pump {
  /** Datagrams sent and arrived. */
  sent = 0;
  arrived = 0;
  #newest = -1;
  readonly #path: Path;
  readonly #wireSize: number;
  readonly #numberAt: number;
  readonly #sinkNumberAt: number;

  /** @param channel Of the sender's ChannelData; 0 when it is the peer. */
  constructor(
    readonly task: LoadTask,
    readonly source: Endpoint,
    readonly sink: Endpoint,
    to: SocketAddress,
    readonly channel: number,
  ) {
    this.#path = Path.of(to, source.address);
    this.#numberAt = channel > 0 ? HEADER : 0;
    this.#sinkNumberAt = channel > 0 ? 0 : HEADER;
    this.#wireSize = task.size + this.#numberAt;
  }

  run(window: number, seconds: number): void {
    this.#drain();
    this.#newest = this.sent - 1;
    let lastArrival = performance.now();
    for (const end = lastArrival + seconds * 1000;;) {
      const now = performance.now();
      if (now >= end) return;
      if (this.#drain() > 0) lastArrival = now;
      const underway = this.sent - 1 - this.#newest;
      if (underway + BATCH <= window) this.#send();
      else if (now - lastArrival > LOST_MS) this.#newest = this.sent - 1;
      else this.sink.wait(POLLIN, 1);
    }
  }

  #send(): void {
    const { source: { queue, slab: { view } }, channel, task } = this;
    const size = this.#wireSize;
    for (let i = 0; i < BATCH; i++) {
      const at = queue.reserve(size);
      if (channel > 0) view.setUint32(at, (channel << 16) | task.size);
      view.setUint32(at + this.#numberAt, this.sent++);
      queue.push(at, size, size, this.#path, 0);
    }
    this.source.flush();
  }

  #drain(): number {
    const { sink: { socket, slab: { view } } } = this;
    const messages = socket.receive();
    for (let i = 0; i < messages; i++) {
      const length = socket.lengthOf(i), segment = socket.segmentOf(i);
      const count = Math.ceil(length / segment);
      this.arrived += count;
      this.#newest = view.getUint32(socket.offsetOf(i) + (count - 1) * segment + this.#sinkNumberAt);
    }
    return messages;
  }
}

/** The smallest window with which as good as most arrives. */
function bestWindow(pump: Pump): number {
  const arrived = WINDOWS.map((window) => {
    const before = pump.arrived;
    pump.run(window, TRIAL_SECONDS);
    return pump.arrived - before;
  });
  const most = Math.max(...arrived);
  return WINDOWS[arrived.findIndex((count) => count >= AS_GOOD * most)]!;
}

function run(task: LoadTask): LoadReport {
  const client = new Endpoint(task.clientIp), peer = new Endpoint(task.peerIp);
  const { relayed, channel, release } = connect(client, peer.address, task);
  const pump = task.direction === "up"
    ? new Pump(task, client, peer, SocketAddress.parse(task.relay)!, channel)
    : new Pump(task, peer, client, relayed, 0);
  pump.run(WINDOWS[0]!, TRIAL_SECONDS);
  const window = task.window ?? bestWindow(pump);
  const before = snapshot(pump, task);
  pump.run(window, task.seconds);
  const after = snapshot(pump, task);
  release();
  const seconds = (after.time - before.time) / 1000, arrived = after.arrived - before.arrived;
  const bytes = arrived * task.size;
  return {
    window,
    gbps: bytes * 8 / seconds / 1e9,
    loss: Math.max(0, 1 - arrived / (after.sent - before.sent)),
    cpuPerGb: (after.relayCpu - before.relayCpu) / (bytes / 1e9),
    relayBusy: (after.relayCpu - before.relayCpu) / seconds,
    loadBusy: (after.loadCpu - before.loadCpu) / seconds,
  };
}

function snapshot({ sent, arrived }: Pump, task: LoadTask) {
  return {
    sent,
    arrived,
    time: performance.now(),
    relayCpu: cpuSeconds(task.relayPid),
    loadCpu: cpuSeconds(Deno.pid),
  };
}

if (import.meta.main) console.log(JSON.stringify(run(JSON.parse(Deno.args[0]!))));
