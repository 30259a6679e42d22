/**
 * The program of a socket filter (classic BPF, socket(7) SO_ATTACH_FILTER) that drops what can be none of the tunnel's
 * protocols, and what a {@link Screen} excludes, before it is queued: a flood then costs neither wake-ups nor copies nor
 * room in the receive buffer.
 *
 * It sees the UDP header and what follows. A datagram passes when it begins like
 *
 *     WireGuard    u32 1, 2, 3 or 4 (little-endian), and at least as long as such a message is
 *     ChannelData  0x40 … 0x4F, and at least as long as it states
 *     STUN         two zero bits, a length that is a multiple of 4 and fits, and the magic cookie
 *
 * or when it is longer than any datagram of ours: then it is a GRO train, of which the filter sees the first one only,
 * and a forged first one must not cost its followers. For the same reason lengths are least lengths, and the screen
 * applies only to what has exactly the length of one message:
 *
 *     STUN requests           the user name must begin as one of ours does
 *     handshakes, mac2 zero   of thinned sources a few pass, by chance, but all of those that are spared
 *
 * What the filter lets through is looked at again by the demultiplexer; it must never refuse what that would take.
 * Reading beyond the end of a datagram drops it: only attributes that overrun their message do.
 */
import { assemble, BPF, type Instruction, SKF_AD_RANDOM, SKF_NET_OFF } from "./bpf.ts";
import type { IpFamily } from "../../mod/packet/address.ts";
import { PORT_FACTOR, type Screen, THINNED_TO_ONE_IN } from "../../mod/packet/screen.ts";

/** Longest datagram of ours: 1280 + 32 WireGuard + 4 ChannelData. */
const MAX_DATAGRAM = 1316;
const UDP_HEADER = 8;
const STUN_HEADER = 20;
const MAGIC_COOKIE = 0x2112a442;
const STUN_CLASS = 0x0110;
const USERNAME = 0x0006;
const MAC = 16;
/** A user name behind so many other attributes is not looked for: the message passes. */
const MAX_ATTRIBUTES = 6;
/** With more users, or peers to spare, the program would be too long: what would need them is let through. */
export const MAX_KEYS = 1024;
/** Sources beyond these are not thinned: jumps must stay short. */
const MAX_THINNED = 16;
const LEAF = 8;
const PASS = { code: BPF.RET_K, k: 0xffffffff }, DROP = { code: BPF.RET_K, k: 0 };
const SOURCE_OFFSET: Readonly<Record<IpFamily, number>> = { 4: SKF_NET_OFF + 12, 6: SKF_NET_OFF + 8 };

/** False: too many are spared for anybody to be thinned. */
export function canThin(screen: Screen): boolean {
  return screen.spared.length <= MAX_KEYS;
}

/** An array of `struct sock_filter`. */
export function assembleFilter(screen: Screen, family: IpFamily): Uint8Array<ArrayBuffer> {
  const users = screen.users !== undefined && screen.users.length <= MAX_KEYS ? screen.users : undefined;
  const spared = canThin(screen) ? screen.spared : undefined;
  return assemble([
    ...protocols(),
    ...(users ? findUser() : [{ label: "request", ...PASS }]),
    ...handshake("initiation", 148),
    ...handshake("response", 92),
    ...(spared ? thin(screen.thinned, family) : [{ label: "thin", ...PASS }]),
    ...atLeast("cookie", 64),
    ...atLeast("data", 32),
    { label: "pass", ...PASS },
    { label: "drop", ...DROP },
    ...(users ? search("users", users, PASS, DROP) : []),
    ...(spared ? spare(spared, family) : []),
  ]);
}

function protocols(): Instruction[] {
  return [
    { code: BPF.LD_W_LEN, k: 0 },
    { code: BPF.JMP_JGT_K, k: UDP_HEADER + MAX_DATAGRAM, yes: "pass" },
    { code: BPF.JMP_JGE_K, k: UDP_HEADER + 4, no: "drop" },
    // The first four bytes, big-endian.
    { code: BPF.LD_W_ABS, k: UDP_HEADER },
    { code: BPF.JMP_JEQ_K, k: 0x04000000, yes: "data" },
    { code: BPF.JMP_JEQ_K, k: 0x01000000, yes: "initiation" },
    { code: BPF.JMP_JEQ_K, k: 0x02000000, yes: "response" },
    { code: BPF.JMP_JEQ_K, k: 0x03000000, yes: "cookie" },
    { code: BPF.JMP_JGE_K, k: 0x50000000, yes: "drop" },
    { code: BPF.JMP_JGE_K, k: 0x40000000, no: "stun" },

    { code: BPF.ALU_AND_K, k: 0xffff },
    { code: BPF.ALU_ADD_K, k: UDP_HEADER + 4 },
    { code: BPF.LDX_W_LEN, k: 0 },
    { code: BPF.JMP_JGT_X, k: 0, yes: "drop", no: "pass" },

    { label: "stun", code: BPF.ALU_AND_K, k: 0xffff },
    { code: BPF.ALU_ADD_K, k: UDP_HEADER + STUN_HEADER },
    { code: BPF.LDX_W_LEN, k: 0 },
    { code: BPF.JMP_JGT_X, k: 0, yes: "drop" },
    { code: BPF.ALU_AND_K, k: 3 },
    { code: BPF.JMP_JEQ_K, k: 0, no: "drop" },
    { code: BPF.LD_W_ABS, k: UDP_HEADER + 4 },
    { code: BPF.JMP_JEQ_K, k: MAGIC_COOKIE, yes: "request", no: "drop" },
  ];
}

/** Finds USERNAME in a message of exactly its stated length. X has the length of the datagram, then the attribute. */
function findUser(): Instruction[] {
  return [
    { label: "request", code: BPF.LD_H_ABS, k: UDP_HEADER + 2 },
    { code: BPF.ALU_ADD_K, k: UDP_HEADER + STUN_HEADER },
    { code: BPF.JMP_JEQ_X, k: 0, no: "pass" },
    { code: BPF.LD_H_ABS, k: UDP_HEADER },
    { code: BPF.ALU_AND_K, k: STUN_CLASS },
    { code: BPF.JMP_JEQ_K, k: 0, no: "pass" },
    { code: BPF.LDX_W_IMM, k: UDP_HEADER + STUN_HEADER },
    ...Array.from({ length: MAX_ATTRIBUTES }, (): Instruction[] => [
      { code: BPF.LD_H_IND, k: 0 },
      { code: BPF.JMP_JEQ_K, k: USERNAME, yes: "user" },
      { code: BPF.LD_H_IND, k: 2 },
      { code: BPF.ALU_ADD_K, k: 4 + 3 },
      { code: BPF.ALU_AND_K, k: 0xfffffffc },
      { code: BPF.ALU_ADD_X, k: 0 },
      { code: BPF.TAX, k: 0 },
    ]).flat(),
    { code: BPF.JMP_JA, k: 0, to: "pass" },
    { label: "user", code: BPF.LD_H_IND, k: 2 },
    { code: BPF.JMP_JGE_K, k: 4, no: "drop" },
    { code: BPF.LD_W_IND, k: 4 },
    { code: BPF.JMP_JA, k: 0, to: "users" },
  ];
}

/** A binary search for A among ascending keys, which ends in a few comparisons. */
function search(
  label: string,
  keys: readonly number[],
  found: Instruction,
  missing: Instruction,
  start = 0,
  end = keys.length,
): Instruction[] {
  if (end - start <= LEAF) {
    const hit = `${label}-hit`;
    return [
      { label, code: BPF.JMP_JA, k: 0 },
      ...keys.slice(start, end).map((k) => ({ code: BPF.JMP_JEQ_K, k, yes: hit })),
      missing,
      { ...found, label: hit },
    ];
  }
  const middle = (start + end) >>> 1, left = `${label}<`, right = `${label}>`;
  return [
    { label, code: BPF.JMP_JGE_K, k: keys[middle]!, no: left },
    { code: BPF.JMP_JA, k: 0, to: right },
    ...search(left, keys, found, missing, start, middle),
    ...search(right, keys, found, missing, middle, end),
  ];
}

/** Passes when the datagram has so many bytes. */
function atLeast(label: string, bytes: number): Instruction[] {
  return [
    { label, code: BPF.LD_W_LEN, k: 0 },
    { code: BPF.JMP_JGE_K, k: UDP_HEADER + bytes, yes: "pass", no: "drop" },
  ];
}

/** Passes when the message is complete; one that is alone and has no mac2 goes on to `thin`. */
function handshake(label: string, bytes: number): Instruction[] {
  const end = UDP_HEADER + bytes;
  return [
    { label, code: BPF.LD_W_LEN, k: 0 },
    { code: BPF.JMP_JGT_K, k: end, yes: "pass" },
    { code: BPF.JMP_JEQ_K, k: end, no: "drop" },
    ...Array.from({ length: MAC / 4 }, (_, i): Instruction[] => [
      { code: BPF.LD_W_ABS, k: end - MAC + 4 * i },
      { code: BPF.JMP_JEQ_K, k: 0, no: "pass" },
    ]).flat(),
    { code: BPF.JMP_JA, k: 0, to: "thin" },
  ];
}

function thin(thinned: Screen["thinned"], family: IpFamily): Instruction[] {
  const first: Instruction = { label: "thin", code: BPF.JMP_JA, k: 0 };
  const spare: Instruction = { label: "from-thinned", code: BPF.JMP_JA, k: 0, to: "spare" };
  if (thinned === "everyone") return [first, spare];
  const sources = thinned.filter(({ length }) => length === (family === 4 ? 4 : 8)).slice(0, MAX_THINNED);
  return [first, ...sources.flatMap((source, i) => isSource(source, i, family)), PASS, spare];
}

/** Passes when the sender is one of these (see `sparedKey`), else by chance. */
function spare(keys: readonly number[], family: IpFamily): Instruction[] {
  const words = family === 4 ? 1 : 4;
  return [
    { label: "spare", code: BPF.LD_H_ABS, k: 0 }, // the UDP source port
    { code: BPF.ALU_MUL_K, k: PORT_FACTOR },
    ...Array.from({ length: words }, (_, i): Instruction[] => [
      { code: BPF.TAX, k: 0 },
      { code: BPF.LD_W_ABS, k: SOURCE_OFFSET[family] + 4 * i },
      { code: BPF.ALU_XOR_X, k: 0 },
    ]).flat(),
    ...search("spared", keys, PASS, { code: BPF.JMP_JA, k: 0, to: "lottery" }),
    { label: "lottery", code: BPF.LD_W_ABS, k: SKF_AD_RANDOM },
    { code: BPF.ALU_AND_K, k: THINNED_TO_ONE_IN - 1 },
    { code: BPF.JMP_JEQ_K, k: 0, no: "lost" },
    PASS,
    { label: "lost", ...DROP },
  ];
}

/** Goes on to `from-thinned` when the datagram is from this source. */
function isSource(source: Uint8Array, i: number, family: IpFamily): Instruction[] {
  const view = new DataView(source.buffer, source.byteOffset), next = `after-source-${i}`;
  const isWord = (word: number): Instruction[] => [
    { code: BPF.LD_W_ABS, k: SOURCE_OFFSET[family] + 4 * word },
    { code: BPF.JMP_JEQ_K, k: view.getUint32(4 * word), no: next },
  ];
  return [
    ...isWord(0),
    ...(family === 4 ? [] : isWord(1)),
    { code: BPF.JMP_JA, k: 0, to: "from-thinned" },
    { label: next, code: BPF.JMP_JA, k: 0 },
  ];
}
