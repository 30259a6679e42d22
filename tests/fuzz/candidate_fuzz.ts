import assert from "node:assert/strict";
import { isUsableAddress } from "../../mod/ice/candidate.ts";
import { formatCandidate, matchesRemoval, parseCandidate } from "../../mod/ice/mod.ts";
import { candidateKey } from "../../mod/portal/mod.ts";
import corpus from "./corpus/candidate.hex" with { type: "text" };
import type { Dice } from "./dice.ts";
import { fromText, type FuzzTarget } from "./target.ts";

function generate(dice: Dice): Uint8Array {
  const ip = () =>
    dice.pick(["192.0.2.1", "2001:db8::1", "::1", "0.0.0.0", "169.254.1.1", "fe80::1%eth0", "a.local"]);
  const port = () => dice.pick(["52625", "0", "65535", "65536", "-1", "1e3", "٣", ""]);
  const kind = dice.pick(["host", "srflx", "prflx", "relay", "HOST", "x"]);
  const words = [
    `${dice.pick(["candidate:", "a=candidate:", " Candidate:", ""])}${
      dice.pick(["1", "abc/+", "", "ü", "-"])
    }`,
    dice.pick(["1", "2", "01"]),
    dice.pick(["udp", "UDP", "tcp"]),
    dice.pick(["2130706431", "0", "4294967295", "4294967296"]),
    ip(),
    port(),
    "typ",
    kind,
    ...(dice.once(2) ? ["raddr", ip(), "rport", port()] : []),
    ...(dice.once(2) ? ["ufrag", dice.pick(["abcd", ""])] : []),
    ...(dice.once(3) ? ["network-cost", "999", "raddr"] : []),
  ];
  return fromText(words.join(dice.pick([" ", "  ", "\t", "\u00a0"])));
}

export const target: FuzzTarget = {
  title: "any text is a usable candidate or none, and what was read can be written",
  seeds: [
    fromText("candidate:1 1 UDP 2130706431 192.0.2.1 52625 typ host"),
    fromText("candidate:a 1 udp 1 2001:db8::1 3478 typ relay raddr :: rport 0 ufrag abcd"),
  ],
  corpus,
  generate,
  start: () => (input) => {
    const text = new TextDecoder().decode(input);
    candidateKey(text);
    const candidate = parseCandidate(text);
    if (!candidate) return "none";
    assert.ok(isUsableAddress(candidate.address));
    const again = parseCandidate(formatCandidate(candidate));
    // A foundation is opaque; one that fills a whole line leaves no room for the rest in canonical form.
    if (text.length < 512) {
      assert.ok(again, "what was read can't be written");
      assert.ok(matchesRemoval(candidate, again));
      assert.equal(again.priority, candidate.priority);
    }
    return `${candidate.kind} ${candidate.address.family} ${Object.keys(candidate).length}`;
  },
};
