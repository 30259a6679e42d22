import assert from "node:assert/strict";
import { healthApplication } from "../../mod/cli/health.ts";
import { counterMetrics, formatMetrics } from "../../mod/cli/metrics.ts";

function application(obstacle?: string) {
  return healthApplication(
    {
      readiness: () => ({ ready: obstacle === undefined, reason: obstacle ?? "All is well." }),
      metrics: () => Promise.resolve(counterMetrics(new Map([["drop_malformed", 3]]))),
    },
    "0.1.0",
  );
}

Deno.test("healthz is 200 and empty, whatever the state", async () => {
  const response = await application("The portal is not connected.").request("/healthz");
  assert.deepEqual([response.status, await response.text()], [200, ""]);
});

Deno.test("readyz tells the version when ready and else what is missing", async () => {
  const ready = await application().request("/readyz");
  assert.deepEqual([ready.status, await ready.text()], [200, "0.1.0"]);
  const waiting = await application("The portal is not connected.").request("/readyz");
  assert.deepEqual([waiting.status, await waiting.text()], [503, "The portal is not connected.\n"]);
});

Deno.test("metrics are in the Prometheus text format", async () => {
  const response = await application().request("/metrics");
  assert.match(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  assert.equal(
    await response.text(),
    "# HELP postern_drop_malformed_total Packet path: drop malformed.\n" +
      "# TYPE postern_drop_malformed_total counter\npostern_drop_malformed_total 3\n",
  );
});

Deno.test("any other path is 404", async () => {
  assert.equal((await application().request("/")).status, 404);
});

Deno.test("metrics of one name stand together and labels are escaped", () => {
  const gauge = (name: string, value: number, peer: string) =>
    ({ name, kind: "gauge", help: "H", value, labels: { peer } }) as const;
  assert.equal(
    formatMetrics([gauge("a", 1, 'x"'), gauge("b", 2, "y\\"), gauge("a", 3, "z\n")]),
    '# HELP postern_a H\n# TYPE postern_a gauge\npostern_a{peer="x\\""} 1\npostern_a{peer="z\\n"} 3\n' +
      '# HELP postern_b H\n# TYPE postern_b gauge\npostern_b{peer="y\\\\"} 2\n',
  );
});
