/** Worker entry: the gateway's data thread. */
import project from "../../deno.json" with { type: "json" };
import { FLOW_COUNTERS, FlowTracker } from "../flows/mod.ts";
import { Gateway, Reporter } from "../gateway/mod.ts";
import { GATEWAY_ACTIVE, GATEWAY_IDLE } from "../ice/mod.ts";
import { Policy } from "../policy/mod.ts";
import type { GatewayEvent } from "../portal/types.ts";
import { reviveGatewayEvent } from "./revive.ts";
import { FLOW_RECORDS_UNWRITTEN, FlowOutbox, FlowReceipt } from "./flow_outbox.ts";
import { serveDataThread } from "./data_thread.ts";
import { reportGateway } from "./report.ts";

serveDataThread({
  role: "gateway",
  timings: { active: GATEWAY_ACTIVE, idle: GATEWAY_IDLE },
  build(parts, post, { flowReceipt }) {
    const { slab, counters } = parts;
    const seed = crypto.getRandomValues(new Uint32Array(1))[0]!;
    const tracking = { slab, counters, unixNow: Date.now, seed };
    const flows = flowReceipt && new FlowTracker(tracking);
    const outbox = flows && new FlowOutbox(flows, new FlowReceipt(flowReceipt), post);
    if (flows) counters.register(FLOW_RECORDS_UNWRITTEN);
    // A portal may ask for reports, hence for flows, later; the names of counters are told at the start.
    for (const name of FLOW_COUNTERS) counters.register(name);
    const gateway = new Gateway({
      ...parts,
      random: (length) => crypto.getRandomValues(new Uint8Array(length)),
      policy: new Policy({ slab, counters, unixNow: Date.now, seed }),
      flows,
      reporter: new Reporter({
        version: project.version,
        startedAt: performance.now(),
        unixNow: Date.now,
        makeFlows: () => new FlowTracker({ ...tracking, keepsRecords: false }),
      }),
    });
    const report = () => {
      for (let output = gateway.pollOutput(); output; output = gateway.pollOutput()) {
        const message = reportGateway(output);
        if (message) post(message);
      }
    };
    return {
      core: gateway,
      handlePortal: (event, now) => gateway.handlePortal(reviveGatewayEvent(event as GatewayEvent), now),
      handleNames: (reply, now) => {
        if (reply.type === "resolved") gateway.handleResolution(reply.domain, reply.addresses, now);
      },
      report: () => {
        report();
        outbox?.flush();
      },
      reportEnd: () => {
        report();
        outbox?.flushAll();
      },
    };
  },
});
