import assert from "node:assert/strict";
import plugin from "./plugin.ts";
import { isPure, projectPath, resolveSpecifier, ROOMS } from "./rooms.ts";

function found(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, path, source).map((d) => `${d.id}: ${d.message}`);
}

Deno.test("an arrow that points up is reported with both rooms", () => {
  const [message, ...rest] = found("mod/stun/a.ts", `import { x } from "../ice/mod.ts";`);
  assert.equal(rest.length, 0);
  assert.match(message!, /architecture\/arrows: Room "stun" may not import room "ice"/);
});

Deno.test("type imports, re-exports and dynamic imports are arrows too", () => {
  assert.equal(found("mod/packet/a.ts", `import type { X } from "../stun/mod.ts";`).length, 1);
  assert.equal(found("mod/packet/a.ts", `export * from "../stun/mod.ts";`).length, 1);
  assert.equal(found("mod/packet/a.ts", `export { x } from "../stun/mod.ts";`).length, 1);
  assert.equal(found("mod/packet/a.ts", `await import("../stun/mod.ts");`).length, 1);
  assert.equal(found("mod/packet/a.ts", `type X = import("../stun/mod.ts").X;`).length, 1);
});

Deno.test("arrows that point down, inside a room or at a shared contract pass", () => {
  assert.deepEqual(found("mod/ice/a.ts", `import { x } from "../stun/mod.ts"; import "./b.ts";`), []);
  assert.deepEqual(found("mod/wireguard/a.ts", `import type { Aead } from "../crypto/types.ts";`), []);
  assert.deepEqual(found("main.ts", `import { run } from "./mod/cli/mod.ts";`), []);
});

Deno.test("the product may not import its tests", () => {
  assert.match(found("mod/ice/a.ts", `import "../../tests/world/mod.ts";`)[0]!, /does not know its tests/);
});

Deno.test("ffi may be imported only by the rooms that do I/O", () => {
  assert.equal(found("mod/policy/a.ts", `import "../../ffi/tun.ts";`).length, 1);
  assert.deepEqual(found("mod/host/a.ts", `import "../../ffi/netlink.ts";`), []);
});

Deno.test("an unknown room is reported", () => {
  assert.match(found("mod/attic/a.ts", `export const a = 1;`)[0]!, /no known room/);
});

Deno.test("clocks, timers, randomness, Deno, console and I/O modules are impure", () => {
  const impure = [
    "Date.now();",
    "new Date();",
    "performance.now();",
    "Math.random();",
    "setInterval(f, 1);",
    "crypto.getRandomValues(a);",
    "crypto.randomUUID();",
    "Deno.env.get('x');",
    "let p: Deno.PointerValue;",
    "console.log(1);",
    `import fs from "node:fs";`,
    `import ws from "ws";`,
    `new Worker("x");`,
    `import "./io.ts";`,
  ];
  for (const source of impure) {
    const path = source.includes("Deno.") ? "mod/ice/a.ts" : "mod/policy/a.ts";
    assert.ok(
      found(path, source).some((m) => m.startsWith("architecture/purity")),
      `not reported: ${source}`,
    );
  }
});

Deno.test("the same is allowed in the rooms and files that do I/O, and in tests", () => {
  for (const path of ["mod/runtime/a.ts", "mod/portal/io.ts", "mod/dns/io/a.ts", "tests/ice/a_test.ts"]) {
    assert.deepEqual(found(path, "Date.now(); Deno.exit(); setInterval(f, 1);"), []);
  }
});

Deno.test("words in comments and strings, and dates made from a given time, are no findings", () => {
  assert.deepEqual(
    found("mod/ice/a.ts", `// Date.now() is not used\nconst s = "Deno.exit"; new Date(5);`),
    [],
  );
});

Deno.test("native calls outside ffi are reported, inside they pass", () => {
  assert.match(found("mod/runtime/a.ts", `Deno.dlopen("x", {});`)[0]!, /outside ffi/);
  assert.equal(found("mod/runtime/a.ts", "Deno.UnsafePointer.of(b);").length, 1);
  assert.deepEqual(found("ffi/a.ts", "Deno.UnsafePointer.of(b);"), []);
});

Deno.test("a file above the limit is reported", () => {
  assert.deepEqual(found("mod/ice/a.ts", "a;\n".repeat(500)), []);
  assert.match(found("mod/ice/a.ts", "a;\n".repeat(501))[0]!, /501 lines; 500 are allowed/);
});

Deno.test("the map of rooms has no cycle and names only known rooms", () => {
  const order: string[] = [];
  const visit = (room: string, trail: readonly string[]) => {
    assert.ok(ROOMS[room], `unknown room ${room}`);
    assert.ok(!trail.includes(room), `cycle: ${[...trail, room].join(" -> ")}`);
    for (const below of ROOMS[room]!) visit(below, [...trail, room]);
    order.push(room);
  };
  Object.keys(ROOMS).forEach((room) => visit(room, []));
});

Deno.test("paths and specifiers resolve inside the project", () => {
  assert.equal(projectPath(new URL("../../mod/ice/agent.ts", import.meta.url).pathname), "mod/ice/agent.ts");
  assert.equal(projectPath("/a/b/README.md"), undefined);
  assert.equal(resolveSpecifier("mod/ice/a.ts", "../stun/./b.ts"), "mod/stun/b.ts");
  assert.equal(isPure("mod/portal/client.ts"), true);
  assert.equal(isPure("mod/portal/io.ts"), false);
});
