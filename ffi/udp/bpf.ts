/**
 * An assembler for classic BPF (<linux/filter.h>): instructions with labels in, `struct sock_filter[]` out. The machine
 * has an accumulator A, an index register X, and jumps forward only; a comparison reaches 255 instructions, JA any.
 */
import { SOCK_FILTER } from "../structs.ts";

// <linux/bpf_common.h>
export const BPF = {
  LD_W_LEN: 0x80,
  LD_W_ABS: 0x20,
  LD_H_ABS: 0x28,
  LD_W_IND: 0x40,
  LD_H_IND: 0x48,
  LDX_W_IMM: 0x01,
  LDX_W_LEN: 0x81,
  TAX: 0x07,
  ALU_ADD_K: 0x04,
  ALU_ADD_X: 0x0c,
  ALU_MUL_K: 0x24,
  ALU_AND_K: 0x54,
  ALU_XOR_X: 0xac,
  JMP_JA: 0x05,
  JMP_JEQ_K: 0x15,
  JMP_JEQ_X: 0x1d,
  JMP_JGT_K: 0x25,
  JMP_JGT_X: 0x2d,
  JMP_JGE_K: 0x35,
  RET_K: 0x06,
} as const;

/** Added to an offset, it counts from the network header. */
export const SKF_NET_OFF = 0xfff00000;
/** Loaded, it is a random word. */
export const SKF_AD_RANDOM = 0xfffff000 + 56;
export const MAX_INSTRUCTIONS = 4096;

export interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Where to go on when a comparison holds, and when not; absent: with the next instruction. */
  readonly yes?: string;
  readonly no?: string;
  /** Where JA goes. */
  readonly to?: string;
  readonly label?: string;
}

/** Throws for a label that is missing, behind, or further away than the jump reaches. */
export function assemble(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const places = new Map<string, number>();
  program.forEach(({ label }, at) => label !== undefined && places.set(label, at));
  const bytes = new Uint8Array(program.length * SOCK_FILTER.size);
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, k, yes, no, to }, i) => {
    const at = i * SOCK_FILTER.size;
    const distance = (label: string | undefined, limit: number) => {
      if (label === undefined) return 0;
      const jump = (places.get(label) ?? -1) - i - 1;
      if (jump < 0 || jump > limit) throw new Error(`BPF: no jump from ${i} to "${label}".`);
      return jump;
    };
    view.setUint16(at + SOCK_FILTER.code, code, true);
    view.setUint8(at + SOCK_FILTER.ifTrue, distance(yes, 255));
    view.setUint8(at + SOCK_FILTER.ifFalse, distance(no, 255));
    view.setUint32(at + SOCK_FILTER.k, to === undefined ? k : distance(to, MAX_INSTRUCTIONS), true);
  });
  return bytes;
}
