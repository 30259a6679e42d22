import { checkHistories } from "./state_machine.ts";

Deno.test("in random histories every probe has the outcome that the reference model says", () => {
  checkHistories({ numRuns: 100 });
});
