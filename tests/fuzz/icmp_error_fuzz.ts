import assert from "node:assert/strict";
import {
  buildProhibited,
  buildUnreachable,
  checksumOf,
  IpHeader,
  isIcmpError,
  PARSE_OK,
  pseudoHeaderSum,
} from "../../mod/packet/mod.ts";
import corpus from "./corpus/icmp_error.hex" with { type: "text" };
import { TCP4, UDP6 } from "./ip_header_fuzz.ts";
import { ipPacket, repair } from "./ip_packets.ts";
import type { FuzzTarget } from "./target.ts";

export const target: FuzzTarget = {
  title: "any packet gets a well-formed ICMP error with its addresses swapped, or none; an error gets none",
  seeds: [TCP4, UDP6],
  corpus,
  generate: ipPacket,
  start: () => {
    const header = new IpHeader(), answered = new IpHeader();
    return (input) => {
      if (input.length > 0 && input.at(-1)! & 1) repair(input, false);
      const isValid = header.parse(input, 0, input.length) === PARSE_OK;
      const mayAnswer = isValid && !header.isIcmpError;
      const before = input.slice();
      for (const answer of [buildProhibited(input), buildUnreachable(input)]) {
        assert.equal(answer !== undefined, mayAnswer);
        if (!answer) continue;
        assert.ok(answer.length <= 1280 && isIcmpError(answer));
        assert.equal(answered.parse(answer, 0, answer.length), PARSE_OK);
        assert.deepEqual(answered.addresses.subarray(0, 4), header.addresses.subarray(4));
        assert.deepEqual(answered.addresses.subarray(4), header.addresses.subarray(0, 4));
        const at = answered.headerLength;
        const pseudo = answered.version === 4 ? 0 : pseudoHeaderSum(answer, 0, 58, answer.length - at);
        assert.equal(checksumOf(answer, at, answer.length - at, pseudo), 0);
        if (answered.version === 4) assert.equal(checksumOf(answer, 0, at), 0);
        const quote = answer.subarray(at + 8);
        assert.deepEqual(quote, input.subarray(0, quote.length));
      }
      assert.deepEqual(input, before, "the packet itself was changed");
      return isValid ? `${header.version} ${header.kind} ${header.isIcmpError}` : "refused";
    };
  },
};
