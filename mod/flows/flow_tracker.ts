/**
 * Follows TCP and UDP flows between clients and resources (spec policy §8.3 [H]) and says when they open and close.
 *
 * The key is that of the packets as the resource sees them, behind NAT: client address and port, resource address and
 * port, protocol. A flow belongs to one client and one resource; the path that its packets take does not matter.
 *
 *   client's packet, accepted and translated ─► sent() ──false──► start()        opens, counts
 *   resource's packet, before translation    ─► find() ─► answered() once sealed  counts
 *   RST ─► closed at once     FIN both ways ─► at the next tick     2 min of silence ─► at the next tick
 *
 * A TCP flow is not started by FIN, RST or an empty ACK: that is the tail of one that is over. A SYN of the client
 * after anything else of it begins a new flow; before that it is a retransmission.
 *
 * Sans-IO; per packet of a known flow nothing is allocated. The table is bounded, and one client may hold an eighth
 * of it, so that none can hide the others' flows; packets of what finds no room are counted and told as a loss.
 */
import { formatIp } from "../packet/address.ts";
import type { Counters } from "../packet/counters.ts";
import { type IpHeader, KIND_TCP, KIND_UDP } from "../packet/ip_header.ts";
import type { Slab } from "../packet/slab.ts";
import {
  FIN_RX,
  FIN_TX,
  FLOW_TCP,
  FLOW_UDP,
  FLOW_V6,
  FlowTable,
  LAST,
  RX_BYTES,
  RX_PACKETS,
  SENT_NON_SYN,
  START,
  TX_BYTES,
  TX_PACKETS,
} from "./flow_table.ts";
import type { FlowClose, FlowEnd, FlowRecord } from "./record.ts";
import { RecordQueue } from "./record_queue.ts";

export const MAX_FLOWS = 65_536;
const SHARE_OF_ONE_CLIENT = 1 / 8;
const MAX_WAITING_RECORDS = 4096;
const TICK_MS = 1000;
const IDLE_MS = 120_000;
const FIN = 1, SYN = 2, RST = 4;
const CLOSED = FIN_TX | FIN_RX;

/** Whose flow it is, and to what. */
export interface FlowAbout {
  readonly clientId: string;
  readonly resourceId: string;
  readonly resourceName: string;
  readonly domain: string | undefined;
}

export interface FlowOptions {
  readonly slab: Slab;
  readonly counters: Counters;
  /** Unix milliseconds. */
  readonly unixNow: () => number;
  /** 32 random bits. */
  readonly seed: number;
  /** Most flows at a time, a power of two. */
  readonly capacity?: number;
  /** False: nobody polls records, so none are made; {@link FlowTracker.onClosed} is all that is told. */
  readonly keepsRecords?: boolean;
}

/** Counters that a tracker registers. */
export const FLOW_COUNTERS = [
  "flow_opened",
  "flow_closed",
  "flow_records_lost",
  "flow_untracked_packets",
] as const;

export class FlowTracker {
  /** Told of each flow that is over. */
  onClosed: ((flow: FlowClose) => void) | undefined;
  readonly #slab: Slab;
  readonly #counters: Counters;
  readonly #unixNow: () => number;
  readonly #table: FlowTable;
  readonly #about: (FlowAbout | undefined)[] = [];
  readonly #held = new Map<string, number>();
  readonly #limitOfClient: number;
  readonly #records: RecordQueue;
  readonly #keepsRecords: boolean;
  readonly #opened: number;
  readonly #closed: number;
  readonly #lost: number;
  readonly #untracked: number;
  #nextTick = Infinity;
  #isLast = false;

  constructor({ slab, counters, unixNow, seed, capacity = MAX_FLOWS, keepsRecords = true }: FlowOptions) {
    this.#slab = slab;
    this.#counters = counters;
    this.#unixNow = unixNow;
    this.#table = new FlowTable(capacity, seed);
    this.#limitOfClient = Math.max(1, capacity * SHARE_OF_ONE_CLIENT);
    this.#records = new RecordQueue(MAX_WAITING_RECORDS, unixNow);
    this.#keepsRecords = keepsRecords;
    const [opened, closed, lost, untracked] = FLOW_COUNTERS.map((name) => counters.register(name));
    this.#opened = opened!;
    this.#closed = closed!;
    this.#lost = lost!;
    this.#untracked = untracked!;
  }

  /** Flows that are open. */
  get size(): number {
    return this.#table.size;
  }

  // Packets ----------------------------------------------------------------------------------------------------

  /**
   * A packet of this client was let through to this resource; `header` is as the resource sees it. False when it
   * begins a flow: then call {@link start}. Ids are compared by value, and are quickest when they are the same string.
   */
  sent(header: IpHeader, clientId: string, resourceId: string, now: number): boolean {
    const key = keyOf(header);
    if (key === 0) return true;
    const { addresses, tcpFlags } = header;
    const flow = this.#table.find(key, header.srcPort << 16 | header.dstPort, addresses, 0, 4);
    if (flow >= 0) {
      const about = this.#about[flow]!;
      const isSame = about.resourceId === resourceId && about.clientId === clientId;
      const begins = (tcpFlags & SYN) !== 0 && (this.#table.meta(flow) & SENT_NON_SYN) !== 0;
      if (isSame && !begins) {
        this.#count(flow, header, tcpFlags, now);
        return true;
      }
      this.#close(flow, this.#isFinished(flow) ? "fin" : "replaced", now);
    }
    const payload = this.#payloadLength(header);
    if (header.kind === KIND_TCP) {
      if ((tcpFlags & (FIN | RST)) !== 0 || ((tcpFlags & SYN) === 0 && payload === 0)) return true;
    }
    if (this.#table.size < this.#limit(clientId)) return false;
    this.#counters.add(this.#untracked);
    if (this.#keepsRecords) this.#records.noteUntracked(1);
    this.#schedule(now);
    return true;
  }

  /** Opens the flow of a packet for which {@link sent} was false, and counts that packet. */
  start(header: IpHeader, about: FlowAbout, now: number): void {
    const ports = header.srcPort << 16 | header.dstPort;
    const flow = this.#table.add(keyOf(header), ports, header.addresses, 0, 4);
    this.#about[flow] = about;
    this.#held.set(about.clientId, (this.#held.get(about.clientId) ?? 0) + 1);
    this.#table.set(flow, START, now);
    this.#counters.add(this.#opened);
    this.#count(flow, header, header.tcpFlags, now);
    if (this.#keepsRecords) this.#push({ record: "open", ...this.#describe(flow, this.#unixNow() - now) });
    this.#schedule(now);
  }

  /** The flow of a packet from a resource, before its translation; -1 when none is followed. */
  find(header: IpHeader): number {
    const key = keyOf(header);
    if (key === 0 || this.#table.size === 0) return -1;
    return this.#table.find(key, header.dstPort << 16 | header.srcPort, header.addresses, 4, 0);
  }

  /** A packet of this flow was sealed for the client, as `packets` segments. */
  answered(flow: number, header: IpHeader, packets: number, now: number): void {
    const { tcpFlags } = header;
    this.#table.count(flow, RX_PACKETS, packets, this.#payloadLength(header), now);
    if ((tcpFlags & FIN) !== 0) this.#table.setState(flow, FIN_RX);
    if ((tcpFlags & RST) !== 0) this.#close(flow, this.#isFinished(flow) ? "fin" : "rst", now);
  }

  // Time and control -------------------------------------------------------------------------------------------

  /** Ends the flows of clients that no longer hold the resource. */
  closeUnless(
    isHeld: (clientId: string, resourceId: string) => boolean,
    end: "revoked" | "goodbye",
    now: number,
  ): void {
    for (let flow = 0; flow < this.#table.top; flow++) {
      if (this.#table.meta(flow) === 0) continue;
      const { clientId, resourceId } = this.#about[flow]!;
      if (!isHeld(clientId, resourceId)) this.#close(flow, end, now);
    }
  }

  /** Ends every flow; their records are kept whatever the limit, since nothing follows. */
  shutdown(now: number): void {
    this.#isLast = true;
    for (let flow = 0; flow < this.#table.top; flow++) {
      if (this.#table.meta(flow) !== 0) {
        this.#close(flow, this.#isFinished(flow) ? "fin" : "shutdown", now);
      }
    }
    this.#records.release();
  }

  handleTimeout(now: number): void {
    if (now < this.#nextTick) return;
    const table = this.#table;
    for (let flow = 0; flow < table.top; flow++) {
      if (table.meta(flow) === 0) continue;
      if (this.#isFinished(flow)) this.#close(flow, "fin", now);
      else if (now - table.get(flow, LAST) > IDLE_MS) this.#close(flow, "idle", now);
    }
    this.#records.release();
    this.#nextTick = Infinity;
    if (table.size > 0 || !this.#records.isEmpty) this.#schedule(now);
  }

  pollTimeout(): number | undefined {
    return this.#nextTick === Infinity ? undefined : this.#nextTick;
  }

  /** Records for the log, oldest first, in batches; undefined when there are none or too few for now. */
  pollRecords(): FlowRecord[] | undefined {
    return this.#records.take();
  }

  // ------------------------------------------------------------------------------------------------------------

  #count(flow: number, header: IpHeader, tcpFlags: number, now: number): void {
    this.#table.count(flow, TX_PACKETS, 1, this.#payloadLength(header), now);
    let state = (tcpFlags & SYN) === 0 ? SENT_NON_SYN : 0;
    if ((tcpFlags & FIN) !== 0) state |= FIN_TX;
    this.#table.setState(flow, state);
    if ((tcpFlags & RST) !== 0) this.#close(flow, this.#isFinished(flow) ? "fin" : "rst", now);
  }

  #isFinished(flow: number): boolean {
    return (this.#table.meta(flow) & CLOSED) === CLOSED;
  }

  #limit(clientId: string): number {
    const mine = this.#held.get(clientId) ?? 0;
    return mine < this.#limitOfClient ? this.#table.capacity : 0;
  }

  #schedule(now: number): void {
    if (this.#nextTick === Infinity) this.#nextTick = (Math.floor(now / TICK_MS) + 1) * TICK_MS;
  }

  #close(flow: number, end: FlowEnd, now: number): void {
    const table = this.#table, { clientId } = this.#about[flow]!;
    const offset = this.#unixNow() - now;
    const last = table.get(flow, LAST);
    this.#counters.add(this.#closed);
    const record: FlowClose = {
      record: "close",
      ...this.#describe(flow, offset),
      end,
      flow_end: isoTime(offset + (end === "fin" ? last : now)),
      last_packet: isoTime(offset + last),
      rx_packets: table.get(flow, RX_PACKETS),
      tx_packets: table.get(flow, TX_PACKETS),
      rx_bytes: table.get(flow, RX_BYTES),
      tx_bytes: table.get(flow, TX_BYTES),
    };
    if (this.#keepsRecords) this.#push(record);
    this.onClosed?.(record);
    table.remove(flow);
    this.#about[flow] = undefined;
    const left = this.#held.get(clientId)! - 1;
    if (left > 0) this.#held.set(clientId, left);
    else this.#held.delete(clientId);
    this.#schedule(now);
  }

  #push(record: FlowRecord): void {
    if (!this.#records.push(record, this.#isLast)) this.#counters.add(this.#lost);
  }

  /** @param offset from monotonic to Unix milliseconds. */
  #describe(flow: number, offset: number) {
    const table = this.#table;
    const { clientId, resourceId, resourceName, domain } = this.#about[flow]!;
    return {
      protocol: (table.meta(flow) & FLOW_TCP) !== 0 ? "tcp" : "udp",
      client_id: clientId,
      resource_id: resourceId,
      resource_name: resourceName,
      ...(domain === undefined ? {} : { domain }),
      inner_src_ip: textOf(table.clientWords(flow)),
      inner_src_port: table.clientPort(flow),
      inner_dst_ip: textOf(table.remoteWords(flow)),
      inner_dst_port: table.remotePort(flow),
      flow_start: isoTime(offset + table.get(flow, START)),
    } as const;
  }

  /** Bytes behind the TCP or UDP header; of a super-packet those of all its segments. */
  #payloadLength(header: IpHeader): number {
    return header.kind === KIND_TCP
      ? header.l4Length - ((this.#slab.bytes[header.l4Offset + 12]! >> 4) << 2)
      : header.l4Length - 8;
  }
}

/** 0: such packets are no flow. */
function keyOf(header: IpHeader): number {
  const family = header.version === 6 ? FLOW_V6 : 0;
  return header.kind === KIND_TCP ? FLOW_TCP | family : header.kind === KIND_UDP ? FLOW_UDP | family : 0;
}

function textOf(words: Uint32Array): string {
  const bytes = new Uint8Array(words.length * 4), view = new DataView(bytes.buffer);
  words.forEach((word, i) => view.setUint32(4 * i, word));
  return formatIp(bytes);
}

function isoTime(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
