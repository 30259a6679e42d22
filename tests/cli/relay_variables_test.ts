import assert from "node:assert/strict";
import { variablesWithoutEffect, withFirezoneRelayVariables } from "../../mod/cli/relay_variables.ts";

const of = (variables: Record<string, string>) => withFirezoneRelayVariables((name) => variables[name]);

Deno.test("the variables of Firezone's relay are understood under the names of our options", () => {
  const environment = of({ LISTEN_PORT: "13478", LOG_FORMAT: "json", PUBLIC_IP4_ADDR: "203.0.113.10" });
  assert.equal(environment("POSTERN_RELAY_PORT"), "13478");
  assert.equal(environment("FIREZONE_LOG_FORMAT"), "json");
  assert.equal(environment("PUBLIC_IP4_ADDR"), "203.0.113.10");
  assert.equal(environment("POSTERN_RELAY_PORTS"), undefined);
  assert.equal(of({ LOG_FORMAT: "google-cloud" })("FIREZONE_LOG_FORMAT"), "json");
});

Deno.test("one end of the range of ports is enough, the other one is the default", () => {
  assert.equal(of({ LOWEST_PORT: "50000" })("POSTERN_RELAY_PORTS"), "50000-65535");
  assert.equal(of({ HIGHEST_PORT: "50000" })("POSTERN_RELAY_PORTS"), "49152-50000");
  assert.equal(of({ LOWEST_PORT: "1", HIGHEST_PORT: "2" })("POSTERN_RELAY_PORTS"), "1-2");
});

Deno.test("what is set under our own name counts more; an empty variable is none", () => {
  assert.equal(of({ POSTERN_RELAY_PORT: "1", LISTEN_PORT: "2" })("POSTERN_RELAY_PORT"), "1");
  assert.equal(of({ POSTERN_RELAY_PORT: "", LISTEN_PORT: "2" })("POSTERN_RELAY_PORT"), "2");
  assert.equal(
    of({ POSTERN_RELAY_PORTS: "5-6", LOWEST_PORT: "1", HIGHEST_PORT: "2" })("POSTERN_RELAY_PORTS"),
    "5-6",
  );
});

Deno.test("variables without a meaning here are named, the telemetry's are not missed", () => {
  const variables = {
    EBPF_OFFLOADING: "eth0",
    RNG_SEED: "",
    CONTROL_ENDPOINT: "x",
    FIREZONE_TELEMETRY: "true",
  };
  assert.deepEqual(variablesWithoutEffect(of(variables)), ["EBPF_OFFLOADING", "CONTROL_ENDPOINT"]);
});
