/** DNS messages as a hostile or broken nameserver would make them. */
import type { Dice } from "./dice.ts";
import { join } from "./target.ts";

const LABELS = ["db", "x", "corp", "example", "A", "a".repeat(63), "_sip", "ü"];

export function wireName(dice: Dice): Uint8Array<ArrayBuffer> {
  const labels = Array.from({ length: dice.below(4) }, () => new TextEncoder().encode(dice.pick(LABELS)));
  const end = dice.once(4) ? [0xc0, dice.pick([12, 0, 16, 255])] : [0];
  return join(...labels.flatMap((label) => [[label.length], label]), end);
}

export function dnsMessage(dice: Dice): Uint8Array<ArrayBuffer> {
  const flags = dice.pick([0x0100, 0x8180, 0x8380, 0x8182, 0x8183, 0x8185, dice.below(65536)]);
  const count = dice.below(6);
  const header = [
    0,
    dice.below(4),
    flags >> 8,
    flags & 255,
    0,
    dice.once(10) ? dice.below(4) : 1,
    0,
    count,
    0,
    0,
    0,
    0,
  ];
  const question = join(wireName(dice), [0, dice.pick([1, 28, 16, 33, 12]), 0, 1]);
  const records = Array.from({ length: count }, () => {
    const type = dice.pick([1, 28, 5, 16]);
    const data = type === 5 ? wireName(dice) : dice.bytes(type === 1 ? 4 : type === 28 ? 16 : dice.below(40));
    const ttl = dice.pick([[0, 0, 0, 60], [0, 0, 0, 0], [0xff, 0xff, 0xff, 0xff]]);
    return join(dice.once(3) ? wireName(dice) : [0xc0, 12], [0, type, 0, 1], ttl, [0, data.length], data);
  });
  return join(header, question, ...records);
}
