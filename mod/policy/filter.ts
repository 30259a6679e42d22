/**
 * Filters of one resource, compiled (spec policy §1.5): per protocol a sorted list of disjoint inclusive port
 * ranges. No filter at all permits everything, also what is neither TCP, UDP nor ICMP.
 */
import type { Filter } from "./types.ts";

/** What filters can tell apart. ICMP includes ICMPv6 and every type; OTHER passes only without filters. */
export const CLASS_OTHER = 0, CLASS_TCP = 1, CLASS_UDP = 2, CLASS_ICMP = 3;

export class FilterSet {
  static readonly EVERYTHING = new FilterSet([]);

  readonly #everything: boolean;
  readonly #icmp: boolean;
  /** start, end, start, end, … ascending. */
  readonly #tcp: Uint16Array;
  readonly #udp: Uint16Array;

  constructor(filters: readonly Filter[]) {
    this.#everything = filters.length === 0;
    this.#icmp = filters.some((f) => f.protocol === "icmp");
    this.#tcp = rangesOf(filters, "tcp");
    this.#udp = rangesOf(filters, "udp");
  }

  /** @param port the resource's TCP or UDP port; ignored for the other classes. */
  permits(protocol: number, port: number): boolean {
    if (this.#everything) return true;
    if (protocol === CLASS_TCP) return contains(this.#tcp, port);
    if (protocol === CLASS_UDP) return contains(this.#udp, port);
    return protocol === CLASS_ICMP && this.#icmp;
  }
}

/** Ranges with start > end, fractions or out of 16 bits match nothing. */
function rangesOf(filters: readonly Filter[], protocol: "tcp" | "udp"): Uint16Array {
  const ranges: [number, number][] = [];
  for (const filter of filters) {
    if (filter.protocol !== protocol) continue;
    const { portStart, portEnd } = filter;
    if (isPort(portStart) && isPort(portEnd) && portStart <= portEnd) ranges.push([portStart, portEnd]);
  }
  ranges.sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [start, end] of ranges) {
    const last = merged.at(-1);
    if (last && start <= last[1] + 1) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return Uint16Array.from(merged.flat());
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 65535;
}

function contains(ranges: Uint16Array, port: number): boolean {
  let low = 0, high = ranges.length >> 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[2 * middle + 1]! < port) low = middle + 1;
    else high = middle;
  }
  return low < ranges.length >> 1 && ranges[2 * low]! <= port;
}
