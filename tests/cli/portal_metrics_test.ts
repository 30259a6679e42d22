import assert from "node:assert/strict";
import { formatMetrics } from "../../mod/cli/metrics.ts";
import { portalMetrics } from "../../mod/cli/portal_metrics.ts";
import { connect, dial, withPortal } from "../embedded/portal/server/wire.ts";

Deno.test("the portal's metrics follow who comes, who is refused and who is told to come back", async () => {
  await withPortal(async (server) => {
    const device = await connect(server);
    await device.join();
    for (let i = 0; i < 21; i++) await dial(server, { token: `wrong-token-${i}` });
    const text = formatMetrics(portalMetrics(server));
    for (
      const line of [
        'postern_portal_devices{role="client"} 1',
        'postern_portal_devices{role="gateway"} 0',
        "postern_portal_suspended 0",
        'postern_portal_connections{kind="device"} 1',
        "postern_portal_evicted_connections_total 0",
        "postern_portal_logins_admitted_total 1",
        "postern_portal_logins_refused_total 20",
        "postern_portal_logins_postponed_total 1",
      ]
    ) assert.ok(text.split("\n").includes(line), `${line} in\n${text}`);
    await device.close();
  });
});
