/** The probes of the reference model on the wire. */
import { ACK, echo, FIN, icmp, ip, other, RST, SYN, tcp, udp, unreachable } from "./packets.ts";
import type { Probe } from "./reference_model.ts";

const FLAGS = { syn: SYN, ack: ACK, fin: FIN | ACK, rst: RST };

export function bytesOf({ kind, src, dst, srcPort, dstPort, flag, quote }: Probe): Uint8Array {
  switch (kind) {
    case "tcp":
      return tcp(src, srcPort, dst, dstPort, FLAGS[flag], "hello");
    case "udp":
      return udp(src, srcPort, dst, dstPort);
    case "echo":
      return echo(src, dst, srcPort);
    case "echo-reply":
      return echo(src, dst, srcPort, true);
    case "icmp":
      return icmp(src, dst, src.includes(":") ? 135 : 13, 0, [0, 1, 0, 1], new Uint8Array(16));
    case "icmp-error":
      return unreachable(src, dst, quotedBytes(dst, quote));
    case "other":
      return other(src, dst);
    case "fragment": {
      const bytes = udp(src, srcPort, dst, dstPort);
      // IPv4: more fragments. IPv6: the UDP header, taken as a fragment header, has an offset.
      return src.includes(":") ? bytes.fill(44, 6, 7) : bytes.fill(0x20, 6, 7);
    }
  }
}

/** An error translated for a NAT session: made anew, the quote patched without touching its checksums. */
export function translatedError(before: Probe, after: Partial<Probe>): Uint8Array {
  const quoted = quotedBytes(before.dst, before.quote).slice();
  const { dst, srcPort, kind } = after.quote!;
  const v6 = dst.includes(":");
  quoted.set(ip(dst), v6 ? 24 : 16);
  quoted.set([srcPort >> 8, srcPort & 255], (v6 ? 40 : 20) + (kind === "echo" ? 4 : 0));
  return unreachable(after.src!, before.dst, quoted, 20);
}

/** What `src` sent and the error quotes. */
function quotedBytes(src: string, quote: Probe["quote"]): Uint8Array {
  if (src.includes(":") !== quote.dst.includes(":")) return new Uint8Array(48);
  return bytesOf({ ...quote, src, dstPort: 443, flag: "ack", quote });
}
