/**
 * Masquerading for the tunnel's clients, by nf_tables and without the `nft` program: what leaves for another network
 * gets this host's address as its source, so that servers need no route back.
 *
 *     table inet postern {
 *       chain postrouting {
 *         type nat hook postrouting priority srcnat
 *         ip saddr 100.64.0.0/11 oifname != "tun-firezone" masquerade
 *         ip6 saddr fd00:2021:1111::/107 oifname != "tun-firezone" masquerade
 *       }
 *     }
 *
 * - The table belongs to our socket: the kernel removes it when the process ends, however it ends (Linux 5.12; before,
 *   {@link Masquerade.remove} does, and a table that was left behind is replaced).
 * - A range that another table already masquerades gets no rule here.
 * - A forward chain of somebody else that drops by default (Docker, ufw) would stop the clients' packets, and no rule
 *   in a table of ours could let them pass. Such a chain gets two accept rules at its head, unless a rule in its
 *   table already names the TUN; they carry a comment by which they are found and removed again.
 */
import { EINVAL, ENOENT, EOPNOTSUPP, EPERM, SystemError } from "../errno.ts";
import type { Attribute, NetlinkMessage } from "../netlink/message.ts";
import type { Prefix } from "../netlink/route_messages.ts";
import { NETLINK_NETFILTER, NetlinkError, NetlinkSocket } from "../netlink/socket.ts";
import { isMasqueraded } from "./coverage.ts";
import {
  accept,
  batch,
  type Chain,
  CMP_EQ,
  CMP_NEQ,
  compare,
  counter,
  decodeChain,
  decodeRule,
  deleteRule,
  deleteTable,
  dumpAll,
  interfaceName,
  loadMeta,
  loadPayload,
  mask,
  masquerade,
  META_IIFNAME,
  META_NFPROTO,
  META_OIFNAME,
  newPostroutingChain,
  newRule,
  newTable,
  NF_DROP,
  NF_INET_FORWARD,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFT_MSG_GETCHAIN,
  NFT_MSG_GETRULE,
  PAYLOAD_NETWORK_HEADER,
  type Rule,
} from "./messages.ts";

const CHAIN = "postrouting";

export interface MasqueradeOptions {
  /** Source ranges, e.g. 100.64.0.0/11. */
  readonly ranges: readonly Prefix[];
  /** The interface whose clients these are. */
  readonly tun: string;
  /** Default `postern`. */
  readonly table?: string;
}

export class Masquerade {
  readonly #socket: NetlinkSocket;
  readonly #table: string;
  readonly #comment: string;
  #removed = false;

  private constructor(
    socket: NetlinkSocket,
    table: string,
    comment: string,
    /** Ranges that someone else's rule already masquerades. */
    readonly covered: readonly Prefix[],
    /** Foreign forward chains that were opened for the tunnel, as `family table chain`. */
    readonly opened: readonly string[],
  ) {
    this.#socket = socket;
    this.#table = table;
    this.#comment = comment;
  }

  /** Throws a SystemError when nf_tables refuses; nothing is left behind then. */
  static install({ ranges, tun, table = "postern" }: MasqueradeOptions): Masquerade {
    const socket = new NetlinkSocket(NETLINK_NETFILTER);
    const comment = `${table} ${tun}`;
    try {
      removeOurs(socket, table, comment);
      const chains = dumpChains(socket), rules = dumpRules(socket);
      const covered = ranges.filter((range) => isMasqueraded(range, tun, chains, rules));
      const wanted = ranges.filter((range) => !covered.includes(range));
      if (wanted.length > 0) createTable(socket, table, tun, wanted);
      const closed = chains.filter((chain) => blocksForwarding(chain, tun, rules));
      for (const chain of closed) openChain(socket, chain, tun, comment);
      const opened = closed.map(({ family, table, chain }) => `${familyName(family)} ${table} ${chain}`);
      return new Masquerade(socket, table, comment, covered, opened);
    } catch (error) {
      quietly(() => removeOurs(socket, table, comment));
      socket.close();
      throw explain(error, "set up masquerading");
    }
  }

  /** Takes everything away again. Idempotent. Throws a SystemError when the kernel refuses. */
  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    try {
      removeOurs(this.#socket, this.#table, this.#comment);
    } catch (error) {
      throw explain(error, "remove masquerading");
    } finally {
      this.#socket.close();
    }
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}

function dumpChains(socket: NetlinkSocket): Chain[] {
  return socket.dump(NFT_MSG_GETCHAIN, dumpAll()).map(({ body }) => decodeChain(body));
}

function dumpRules(socket: NetlinkSocket): Rule[] {
  return socket.dump(NFT_MSG_GETRULE, dumpAll()).map(({ body }) => decodeRule(body));
}

function createTable(socket: NetlinkSocket, table: string, tun: string, ranges: readonly Prefix[]): void {
  const create = (owned: boolean) =>
    socket.transaction(batch([
      newTable(NFPROTO_INET, table, owned),
      newPostroutingChain(NFPROTO_INET, table, CHAIN),
      ...ranges.map((range) =>
        newRule({ family: NFPROTO_INET, table, chain: CHAIN }, masqueradeRule(range, tun), table, true)
      ),
    ]));
  try {
    create(true);
  } catch (error) {
    if (!(error instanceof NetlinkError) || ![EINVAL, EOPNOTSUPP].includes(error.errno)) throw error;
    create(false); // a kernel without table owners
  }
}

/** The expressions of `ip saddr RANGE oifname != TUN masquerade`. */
export function masqueradeRule(range: Prefix, tun: string): Attribute[] {
  const v4 = range.address.length === 4;
  const bits = range.address.map((_, i) => 0xff00 >> Math.max(0, Math.min(8, range.length - 8 * i)) & 0xff);
  return [
    loadMeta(META_NFPROTO),
    compare(CMP_EQ, Uint8Array.of(v4 ? NFPROTO_IPV4 : NFPROTO_IPV6)),
    loadPayload(PAYLOAD_NETWORK_HEADER, v4 ? 12 : 8, range.address.length),
    mask(bits),
    compare(CMP_EQ, range.address.map((byte, i) => byte & bits[i]!)),
    loadMeta(META_OIFNAME),
    compare(CMP_NEQ, interfaceName(tun)),
    counter(),
    masquerade(),
  ];
}

/** True for a forward chain that drops by default and whose table has no rule about the TUN. */
function blocksForwarding(
  { hook, policy, family, table }: Chain,
  tun: string,
  rules: readonly Rule[],
): boolean {
  if (hook !== NF_INET_FORWARD || policy !== NF_DROP) return false;
  if (family !== NFPROTO_INET && family !== NFPROTO_IPV4 && family !== NFPROTO_IPV6) return false;
  return !rules.some((rule) => rule.family === family && rule.table === table && mentions(rule.body, tun));
}

function mentions(body: Uint8Array, tun: string): boolean {
  return new TextDecoder("latin1").decode(body).includes(tun + "\0");
}

function openChain(socket: NetlinkSocket, chain: Chain, tun: string, comment: string): void {
  socket.transaction(
    batch([META_IIFNAME, META_OIFNAME].map((key) =>
      newRule(
        chain,
        [loadMeta(key), compare(CMP_EQ, interfaceName(tun)), counter(), accept()],
        comment,
        false,
      )
    )),
  );
}

/** Our table, and our rules in other tables, of this run or an earlier one. */
function removeOurs(socket: NetlinkSocket, table: string, comment: string): void {
  remove(socket, deleteTable(NFPROTO_INET, table));
  for (const rule of dumpRules(socket)) {
    if (rule.comment === comment && rule.table !== table) remove(socket, deleteRule(rule, rule.handle));
  }
}

function remove(socket: NetlinkSocket, change: NetlinkMessage): void {
  try {
    socket.transaction(batch([change]));
  } catch (error) {
    if (!(error instanceof NetlinkError) || error.errno !== ENOENT) throw error;
  }
}

function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // The first failure is the one to report.
  }
}

function familyName(family: number): string {
  return family === NFPROTO_IPV4 ? "ip" : family === NFPROTO_IPV6 ? "ip6" : "inet";
}

function explain(error: unknown, doing: string): unknown {
  if (!(error instanceof NetlinkError)) return error;
  const advice = error.errno === EPERM
    ? "Run as root or with CAP_NET_ADMIN, and only one gateway with this table in a network namespace."
    : "Check that the kernel has nf_tables with NAT, or masquerade by other means and leave this out.";
  return new SystemError(doing, "nf_tables", error.errno, advice);
}
