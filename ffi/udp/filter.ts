/**
 * A socket filter (classic BPF, socket(7) SO_ATTACH_FILTER) that drops what can be none of the tunnel's protocols
 * before it is queued: garbage then costs neither a wake-up nor a copy nor room in the receive buffer.
 *
 * It sees the UDP header and what follows. A datagram passes when it begins like
 *
 *     WireGuard    u32 1, 2, 3 or 4 (little-endian), and at least as long as such a message is
 *     ChannelData  0x40 … 0x4F, and at least as long as it states
 *     STUN         two zero bits, a length that is a multiple of 4 and fits, and the magic cookie
 *
 * or when it is longer than any datagram of ours: then it is a GRO train, of which the filter sees the first one only,
 * and a forged first one must not cost its followers. For the same reason lengths are least lengths. What the filter
 * lets through is looked at again by the demultiplexer; it must never refuse what that would take.
 */
import { errno } from "../errno.ts";
import { libc } from "../libc.ts";
import { SOCK_FILTER, SOCK_FPROG } from "../structs.ts";
import { SOL_SOCKET } from "./options.ts";

export const SO_ATTACH_FILTER = 26;
/** Longest datagram of ours: 1280 + 32 WireGuard + 4 ChannelData. */
const MAX_DATAGRAM = 1316;
const UDP_HEADER = 8;
const MAGIC_COOKIE = 0x2112a442;

// <linux/bpf_common.h>, <linux/filter.h>
export const BPF = {
  LD_W_LEN: 0x80,
  LD_W_ABS: 0x20,
  ALU_AND_K: 0x54,
  ALU_ADD_K: 0x04,
  JMP_JEQ_K: 0x15,
  JMP_JGT_K: 0x25,
  JMP_JGE_K: 0x35,
  JMP_JGT_X: 0x2d,
  LDX_W_LEN: 0x81,
  RET_K: 0x06,
} as const;

type Label = "pass" | "drop" | "channel" | "initiation" | "response" | "cookie" | "data";

interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Where to go on when a comparison holds, and when not; absent: with the next instruction. */
  readonly yes?: Label;
  readonly no?: Label;
  readonly label?: Label;
}

/** Passes when the datagram has so many bytes. */
function atLeast(label: Label, bytes: number): Instruction[] {
  return [
    { label, code: BPF.LD_W_LEN, k: 0 },
    { code: BPF.JMP_JGE_K, k: UDP_HEADER + bytes, yes: "pass", no: "drop" },
  ];
}

const PROGRAM: readonly Instruction[] = [
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
  { code: BPF.JMP_JGE_K, k: 0x40000000, yes: "channel" },

  // What is left begins with two zero bits, as STUN does.
  { code: BPF.ALU_AND_K, k: 0xffff },
  { code: BPF.ALU_ADD_K, k: UDP_HEADER + 20 },
  { code: BPF.LDX_W_LEN, k: 0 },
  { code: BPF.JMP_JGT_X, k: 0, yes: "drop" },
  { code: BPF.ALU_AND_K, k: 3 },
  { code: BPF.JMP_JEQ_K, k: 0, no: "drop" },
  { code: BPF.LD_W_ABS, k: UDP_HEADER + 4 },
  { code: BPF.JMP_JEQ_K, k: MAGIC_COOKIE, yes: "pass", no: "drop" },

  { label: "channel", code: BPF.ALU_AND_K, k: 0xffff },
  { code: BPF.ALU_ADD_K, k: UDP_HEADER + 4 },
  { code: BPF.LDX_W_LEN, k: 0 },
  { code: BPF.JMP_JGT_X, k: 0, yes: "drop", no: "pass" },

  ...atLeast("initiation", 148),
  ...atLeast("response", 92),
  ...atLeast("cookie", 64),
  ...atLeast("data", 32),
  { label: "pass", code: BPF.RET_K, k: 0xffffffff },
  { label: "drop", code: BPF.RET_K, k: 0 },
];

/** The program as an array of `struct sock_filter`. */
export function assembleFilter(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PROGRAM.length * SOCK_FILTER.size);
  const view = new DataView(bytes.buffer);
  PROGRAM.forEach(({ code, k, yes, no }, i) => {
    const at = i * SOCK_FILTER.size;
    const jump = (label: Label | undefined) =>
      label === undefined ? 0 : PROGRAM.findIndex((instruction) => instruction.label === label) - i - 1;
    view.setUint16(at + SOCK_FILTER.code, code, true);
    view.setUint8(at + SOCK_FILTER.ifTrue, jump(yes));
    view.setUint8(at + SOCK_FILTER.ifFalse, jump(no));
    view.setUint32(at + SOCK_FILTER.k, k, true);
  });
  return bytes;
}

/** Attaches the filter to a UDP socket; 0, or the errno: the socket then works as before. */
export function attachFilter(fd: number): number {
  const instructions = assembleFilter();
  const program = new Uint8Array(SOCK_FPROG.size);
  const view = new DataView(program.buffer);
  view.setUint16(SOCK_FPROG.length, instructions.length / SOCK_FILTER.size, true);
  view.setBigUint64(
    SOCK_FPROG.filter,
    BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(instructions))),
    true,
  );
  return libc().setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, program.length) === 0 ? 0 : errno();
}
