/** Builds what the data thread runs: slab, devices, protocol core. */
import { Tun } from "../../ffi/deno_tun/mod.ts";
import { createLibcryptoAead } from "../../ffi/crypto_libcrypto.ts";
import { createLibcryptoDh } from "../../ffi/crypto_libcrypto_dh.ts";
import { createLibcryptoSealer } from "../../ffi/crypto_libcrypto_sealer.ts";
import { SystemError } from "../../ffi/errno.ts";
import { NetworkMonitor, RouteSocket } from "../../ffi/netlink/mod.ts";
import { SlabPointers } from "../../ffi/slab_pointers.ts";
import { UdpSocket } from "../../ffi/udp/mod.ts";
import {
  chooseAead,
  chooseDh,
  NobleAead,
  NobleDh,
  NodeAead,
  NodeDh,
  selfTestSealer,
  WasmAead,
} from "../crypto/mod.ts";
import type { Aead, Dh, Sealer } from "../crypto/types.ts";
import { ROUTING_TABLE } from "../host/mod.ts";
import { Node, type Timings } from "../node/mod.ts";
import { Counters, Kernels, PacketQueue, Slab, Splitter, TransmitQueue } from "../packet/mod.ts";
import type { ClientEvent, GatewayEvent } from "../portal/types.ts";
import type { Core, DataLoopOptions } from "./data_loop.ts";
import type { FromData, NameReply, StartMessage } from "./messages.ts";
import { rehearse } from "./rehearsal.ts";
import { TunPort } from "./tun_port.ts";
import type { RuntimeStatus } from "./types.ts";

const SLAB_BYTES = 8 * 1024 * 1024;
/** Messages per receive call: so few of super-datagrams, so many of short ones. */
const LEAST_RECEIVE_BUFFERS = 4, RECEIVE_BUFFERS = 16;
const TRANSMIT_AREA = 512 * 1024;
const TUN_F_TSO4 = 0x02, TUN_F_USO4 = 0x20;

export interface RunningCore {
  readonly core: Core & { shutdown(now: number): void };
  readonly screening: DataLoopOptions["screening"];
  readonly tun: TunPort;
  readonly sockets: readonly UdpSocket[];
  readonly monitor: NetworkMonitor | undefined;
  readonly packets: PacketQueue;
  readonly transmits: TransmitQueue;
  readonly counters: Counters;
  readonly started: FromData & { type: "started" };
  handlePortal(event: GatewayEvent | ClientEvent, now: number): void;
  handleNames(reply: NameReply, now: number): void;
  /** Hands what the core has to say to the control thread. */
  report(): void;
  /** The same, for the last time. */
  reportEnd(): void;
  status(): RuntimeStatus;
  /** See `rehearsal.ts`; once, before the first packet. */
  rehearse(): boolean;
  close(): void;
}

export function createCore(
  { role, timings, build }: Composition,
  options: StartMessage,
  post: (message: FromData) => void,
): RunningCore {
  const { tunnel } = options;
  const slab = new Slab(SLAB_BYTES);
  SlabPointers.of(slab);
  const counters = new Counters(options.counters);
  const kernels = new Kernels(slab);
  const device = Tun.open({ name: tunnel.tunName, vnetHeader: true });
  const sockets: UdpSocket[] = [];
  const monitor = openMonitor(tunnel.tunName, post);
  const close = () => {
    monitor?.close();
    for (const socket of sockets) socket.close();
    device.close();
  };
  try {
    openSockets(options, slab, counters, sockets, post);
    const tun = new TunPort(device, slab, counters);
    const aead = selectAead(slab, tunnel.crypto, post);
    const dh = selectDh();
    const sealer = selectSealer();
    const privateKey = randomBytes(32);
    const keys = { privateKey, publicKey: dh.publicKey(privateKey) };
    const packets = new PacketQueue(slab, kernels, {
      capacity: 4096,
      tcp: (device.offloads & TUN_F_TSO4) !== 0,
      udp: (device.offloads & TUN_F_USO4) !== 0,
    });
    const transmits = new TransmitQueue(slab, { areaLength: TRANSMIT_AREA, capacity: 4096 });
    const node = new Node({
      role,
      keys,
      slab,
      aead,
      dh,
      sealer,
      random: randomBytes,
      unixNow: Date.now,
      counters,
      timings,
    });
    const parts = { slab, node, splitter: new Splitter(slab, kernels), packets, transmits, counters };
    const endpoint = build(parts, post, options);
    const ports = [...new Set(sockets.map((s) => s.port))];
    return {
      ...endpoint,
      screening: node.screening,
      tun,
      sockets,
      monitor,
      packets,
      transmits,
      counters,
      started: {
        type: "started",
        publicKey: keys.publicKey,
        aead: aead.name,
        ports,
        offloads: device.offloads,
        counterNames: counters.names,
      },
      status: () => {
        for (const socket of sockets) socket.countDropped();
        return { aead: aead.name, ports, ...node.status() };
      },
      rehearse: () => rehearse({ slab, aead, dh, sealer, random: randomBytes }),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** What a composition is made of. */
export interface Parts {
  readonly slab: Slab;
  readonly node: Node;
  readonly splitter: Splitter;
  readonly packets: PacketQueue;
  readonly transmits: TransmitQueue;
  readonly counters: Counters;
}

/** A gateway or a client over these parts. */
export type Endpoint = Pick<RunningCore, "core" | "handlePortal" | "handleNames" | "report" | "reportEnd">;

/** What differs between the two. */
export interface Composition {
  readonly role: "gateway" | "client";
  readonly timings: Timings;
  build(parts: Parts, post: (message: FromData) => void, options: StartMessage): Endpoint;
}

/** One socket per family; one family is enough. */
function openSockets(
  { tunnel }: StartMessage,
  slab: Slab,
  counters: Counters,
  sockets: UdpSocket[],
  post: (message: FromData) => void,
): void {
  const problems: string[] = [];
  for (const family of [4, 6] as const) {
    try {
      const socket = UdpSocket.open({
        family,
        slab,
        counters,
        port: tunnel.port,
        receiveBuffers: RECEIVE_BUFFERS,
        leastReceiveBuffers: LEAST_RECEIVE_BUFFERS,
        filtered: true,
        ...(tunnel.mark === undefined ? {} : { mark: tunnel.mark }),
      });
      sockets.push(socket);
      for (const message of socket.warnings) post({ type: "log", level: "warning", message, fields: {} });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      problems.push(error.message);
    }
  }
  if (sockets.length === 0) throw new Error(problems.join(" "));
  for (const message of problems) post({ type: "log", level: "info", message, fields: {} });
}

/** Without it a change of our own address is noticed by what does not come any more: that takes its time. */
function openMonitor(tunName: string, post: (message: FromData) => void): NetworkMonitor | undefined {
  try {
    using routes = new RouteSocket();
    const link = routes.link(tunName)?.index;
    return NetworkMonitor.open({ link, table: ROUTING_TABLE });
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const message = "A change of this host's address will be noticed late";
    post({ type: "log", level: "info", message, fields: { reason: error.message } });
    return undefined;
  }
}

/** The fastest cipher that passes its self-test, or the one that the operator insists on. */
function selectAead(slab: Slab, forced: string | undefined, post: (message: FromData) => void): Aead {
  const { chosen, refused } = chooseAead([
    { name: "libcrypto", create: () => createLibcryptoAead(slab) },
    { name: "wasm", create: () => new WasmAead(slab) },
    { name: "node", create: () => new NodeAead(slab) },
    { name: "noble", create: () => new NobleAead(slab) },
  ], { slab, random: randomBytes, forced });
  for (const { name, reason } of refused) {
    post({ type: "log", level: "info", message: "A cipher back end is left out", fields: { name, reason } });
  }
  return chosen;
}

function selectDh(): Dh {
  return chooseDh([
    { name: "libcrypto", create: () => createLibcryptoDh() },
    { name: "node", create: () => new NodeDh() },
    { name: "noble", create: () => new NobleDh() },
  ]).chosen;
}

/** Undefined: the one in JavaScript, which needs no test. */
function selectSealer(): Sealer | undefined {
  const sealer = createLibcryptoSealer();
  return sealer && selfTestSealer(sealer) === undefined ? sealer : undefined;
}

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(length));
}
