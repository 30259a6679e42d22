import assert from "node:assert/strict";
import { FlowOutbox, FlowReceipt } from "../../mod/runtime/flow_outbox.ts";
import type { FromData } from "../../mod/runtime/messages.ts";
import { FlowBed, PAIR } from "../flows/flow_bed.ts";

Deno.test("while nobody deals with the records nothing more is posted; afterwards it goes on, loss included", () => {
  const bed = new FlowBed(65_536), receipt = new FlowReceipt();
  const posted: (FromData & { type: "flows" })[] = [];
  const outbox = new FlowOutbox(bed.tracker, receipt, (message) => {
    assert.equal(message.type, "flows");
    if (message.type === "flows") posted.push(message);
  });
  const count = () => posted.reduce((sum, { records }) => sum + records, 0);
  const open = (flows: number, port: number) => {
    for (let i = 0; i < flows; i++) {
      bed.sendUdp(1, { ...PAIR, remotePort: port, clientPort: 1 + i });
      bed.tracker.closeUnless(() => false, "revoked", bed.now);
      if (i % 100 === 0) outbox.flush();
    }
  };
  open(12_000, 53);
  for (let i = 0; i < 200; i++) outbox.flush();
  const onTheWay = count();
  assert.ok(onTheWay >= 16_384 && onTheWay < 16_384 + 256, `${onTheWay} on the way`);
  receipt.add(onTheWay);
  bed.advance(1000);
  for (let i = 0; i < 200; i++) outbox.flush();
  const told = count();
  const lines = posted.flatMap(({ lines }) => lines.trimEnd().split("\n").map((line) => JSON.parse(line)));
  assert.equal(lines.length, told, "as many lines as records");
  const lost = lines.filter(({ record }) => record === "lost").reduce((sum, { records }) => sum + records, 0);
  assert.equal(lost, bed.counters.get("flow_records_lost"));
  assert.ok(lost > 0);
  assert.equal(lines.filter(({ record }) => record !== "lost").length + lost, 24_000);
});
