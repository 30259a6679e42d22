/**
 * Which resource a destination belongs to: longest prefix wins, the Internet resource catches the rest. A client has
 * tens of resources, so a scan over typed arrays, most specific first, is enough and allocates nothing.
 */
import type { ClientResource, Id } from "../../portal/types.ts";

/** Words of one row: version, prefix, four words of network, four words of mask. */
const ROW = 10;
const RESOURCE_RANGE_V4 = 0x64600000; // 100.96.0.0/11: proxy addresses of DNS resources

export class RouteTable {
  #rows = new Uint32Array(0);
  #ids: Id[] = [];
  #internet: Id | undefined;

  /** Replaces the table. */
  set(resources: Iterable<ClientResource>): void {
    const cidrs: { id: Id; ip: Uint8Array; prefix: number }[] = [];
    this.#internet = undefined;
    for (const resource of resources) {
      if (resource.type === "internet") this.#internet = resource.id;
      else if (resource.cidr) {
        cidrs.push({ id: resource.id, ip: resource.cidr.ip, prefix: resource.cidr.prefix });
      }
    }
    cidrs.sort((a, b) => b.prefix - a.prefix || (a.id < b.id ? -1 : 1));
    this.#ids = cidrs.map((c) => c.id);
    this.#rows = new Uint32Array(cidrs.length * ROW);
    cidrs.forEach(({ ip, prefix }, i) => {
      const row = this.#rows.subarray(i * ROW, (i + 1) * ROW);
      row[0] = ip.length === 4 ? 4 : 6;
      row[1] = prefix;
      const view = new DataView(ip.buffer, ip.byteOffset, ip.length);
      for (let w = 0; w < ip.length / 4; w++) {
        row[2 + w] = view.getUint32(4 * w);
        const bits = Math.min(32, Math.max(0, prefix - 32 * w));
        row[6 + w] = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
      }
    });
  }

  /** Resource of a destination given as big-endian words (IPv4: only `d0`). */
  lookup(version: number, d0: number, d1: number, d2: number, d3: number): Id | undefined {
    const rows = this.#rows;
    for (let i = 0; i < rows.length; i += ROW) {
      if (rows[i] !== version || ((d0 & rows[i + 6]!) >>> 0) !== rows[i + 2]) continue;
      if (
        version === 4 ||
        (((d1 & rows[i + 7]!) >>> 0) === rows[i + 3] && ((d2 & rows[i + 8]!) >>> 0) === rows[i + 4] &&
          ((d3 & rows[i + 9]!) >>> 0) === rows[i + 5])
      ) return this.#ids[i / ROW];
    }
    if (version === 4 && ((d0 & 0xffe00000) >>> 0) === RESOURCE_RANGE_V4) return undefined;
    return this.#internet;
  }
}
