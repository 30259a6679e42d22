/**
 * The candidate string of the signalling channel (RFC 8839 §5.1, snownet §2.4):
 *
 *     candidate:<foundation> 1 udp <priority> <ip> <port> typ <kind>[ raddr <ip> rport <port>][ ufrag <ufrag>]
 *
 * Emitted exactly like this. Parsed loosely, because every agent writes it a little differently: an `a=` in front,
 * any case, any run of blanks, opaque foundations, options as key and value in any order, unknown ones skipped.
 */
import { SocketAddress } from "../packet/address.ts";
import { type Candidate, isUsableAddress } from "./candidate.ts";
import type { CandidateKind } from "./priority.ts";

const MAX_LENGTH = 1024;
const PREFIX = /^\s*(?:a=)?candidate:/i;
const KINDS = new Set<string>(["host", "prflx", "srflx", "relay"] satisfies CandidateKind[]);

/**
 * The candidate in `text`, or undefined when there is none that we could use: garbage, another component than 1,
 * another transport than UDP, a name instead of an IP address, an address nothing can be sent to.
 */
export function parseCandidate(text: string): Candidate | undefined {
  if (text.length > MAX_LENGTH || !PREFIX.test(text)) return undefined;
  const tokens = text.replace(PREFIX, "").trim().split(/\s+/);
  const [foundation, component, transport, priority, ip, port, typ, kindName] = tokens;
  const kind = kindName?.toLowerCase();
  if (!foundation || component !== "1" || transport?.toLowerCase() !== "udp") return undefined;
  if (typ?.toLowerCase() !== "typ" || kind === undefined || !isKind(kind)) return undefined;
  const address = parseAddress(ip, port);
  const priorityValue = parseUnsigned(priority, 0xffffffff);
  if (!address || !isUsableAddress(address) || priorityValue === undefined) return undefined;
  const options = parseOptions(tokens.slice(8));
  const relatedAddress = parseAddress(options.get("raddr"), options.get("rport"));
  const ufrag = options.get("ufrag");
  return {
    kind,
    address,
    base: address,
    priority: priorityValue,
    foundation,
    ...(relatedAddress ? { relatedAddress } : {}),
    ...(ufrag ? { ufrag } : {}),
  };
}

/** The string to signal; `ufrag` is our own username fragment. */
export function formatCandidate(candidate: Candidate, ufrag?: string): string {
  const { foundation, priority, address, kind, relatedAddress } = candidate;
  const related = relatedAddress ? ` raddr ${relatedAddress.ip} rport ${relatedAddress.port}` : "";
  return `candidate:${foundation} 1 udp ${priority} ${address.ip} ${address.port} typ ${kind}${related}` +
    (ufrag === undefined ? "" : ` ufrag ${ufrag}`);
}

function isKind(name: string): name is CandidateKind {
  return KINDS.has(name);
}

/** Of a repeated option the first counts. */
function parseOptions(tokens: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (let i = 0; i + 1 < tokens.length; i += 2) {
    const key = tokens[i]!.toLowerCase();
    if (!options.has(key)) options.set(key, tokens[i + 1]!);
  }
  return options;
}

function parseAddress(ip: string | undefined, port: string | undefined): SocketAddress | undefined {
  const portValue = parseUnsigned(port, 65535);
  return ip === undefined || portValue === undefined ? undefined : SocketAddress.of(ip, portValue);
}

function parseUnsigned(text: string | undefined, limit: number): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= limit ? value : undefined;
}
