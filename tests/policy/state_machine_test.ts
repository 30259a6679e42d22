import { strict as assert } from "node:assert";
import { checkHistories } from "./state_machine.ts";

/** What needs thousands of packets or requests to happen; unit tests have it. */
const OUT_OF_REACH = ["policy_answer_limited", "policy_out_nat_exhausted", "policy_name_request_dropped"];

Deno.test("in random histories every probe has the outcome that the reference model says, and every outcome occurs", () => {
  const totals = checkHistories({ numRuns: 150, seed: 20_240_711 });
  const missed = [...totals].filter(([name, hits]) => hits === 0 && !OUT_OF_REACH.includes(name));
  assert.deepEqual(missed, []);
});
