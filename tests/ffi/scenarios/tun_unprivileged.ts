/** With the uid kept, since Deno's own files must stay readable, but without any capability. */
import assert from "node:assert/strict";
import { run } from "../namespace.ts";

const module = new URL("../../../ffi/mod.ts", import.meta.url).href;
const code = `import { Masquerade, parsePrefix, RouteSocket, Tun } from ${JSON.stringify(module)};
  const attempt = (action) => { try { action(); console.log("done"); } catch (e) { console.log(e.kind ?? e.code, e.message); } };
  attempt(() => Tun.open({ name: "ffi-no" }));
  const routes = new RouteSocket();
  attempt(() => routes.addAddress(routes.link("lo").index, parsePrefix("192.0.2.1")));
  attempt(() => Masquerade.install({ ranges: [parsePrefix("100.64.0.0/11")], tun: "ffi-no" }));`;
const output = run(
  "setpriv",
  "--bounding-set=-all",
  "--inh-caps=-all",
  Deno.execPath(),
  "eval",
  "--no-config",
  code,
);
const [tun, route, masquerade] = output.trim().split("\n");
assert.match(tun!, /^not-permitted Cannot create the network interface ffi-no: .*CAP_NET_ADMIN/);
assert.match(route!, /^EPERM Cannot add the address 192\.0\.2\.1\/32: .*CAP_NET_ADMIN/);
assert.match(masquerade!, /^EPERM Cannot set up masquerading: .*CAP_NET_ADMIN/);
