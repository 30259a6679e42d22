import assert from "node:assert/strict";
import fc from "fast-check";
import { formatUserAgent, parseOsRelease, parseUserAgent } from "../../mod/portal/user_agent.ts";

Deno.test("a user agent names system, connlib version, architecture and kernel", () => {
  const agent = { system: "Debian", systemVersion: "13", version: "1.5.0" };
  assert.equal(
    formatUserAgent({ ...agent, arch: "x86_64", kernel: "6.12.30" }),
    "Debian/13 connlib/1.5.0 (x86_64; 6.12.30)",
  );
  assert.equal(formatUserAgent({ ...agent, arch: "x86_64" }), "Debian/13 connlib/1.5.0 (x86_64)");
  assert.equal(formatUserAgent({ ...agent, kernel: "6.12.30" }), "Debian/13 connlib/1.5.0 (6.12.30)");
  assert.equal(formatUserAgent(agent), "Debian/13 connlib/1.5.0");
});

Deno.test("what is not printable ASCII is left out", () => {
  const text = formatUserAgent({ system: "Käse\r\nX: y", systemVersion: "1", version: "1.5.0" });
  assert.equal(text, "KseX: y/1 connlib/1.5.0");
});

Deno.test("a version that portals can't compare is refused", () => {
  for (const version of ["1.5", "1.5.0-rc.1", "v1.5.0", "1.05.0", ""]) {
    assert.throws(() => formatUserAgent({ system: "D", systemVersion: "1", version }), RangeError);
  }
});

Deno.test("components of all generations are recognised; the first word wins", () => {
  const read = (text: string) => {
    const found = parseUserAgent(text);
    return found && `${found.component} ${found.version?.join(".")}`;
  };
  assert.equal(read("Ubuntu/24.4.0 connlib/1.4.14 (x86_64; 6.8.0-63-generic)"), "connlib 1.4.14");
  assert.equal(read("Alpine Linux/3.20.6 connlib/1.4.14 (x86_64; 6.8.0)"), "connlib 1.4.14");
  assert.equal(read("Mac OS/15.5.0 apple-client/1.5.12 (arm64; 24.5.0)"), "apple-client 1.5.12");
  assert.equal(read("Debian/13 connlib/1.5.0 gateway/1.5.1"), "connlib 1.5.0");
  assert.equal(read("Windows/10 gui-client/1.5.10-rc.1"), "gui-client 1.5.10");
  assert.equal(read("relay/0.1.0"), "relay 0.1.0");
  assert.equal(read("Debian/13 gateway/unknown"), "gateway undefined");
  assert.equal(read("curl/8"), undefined);
});

Deno.test("any text is a user agent or none", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseUserAgent(`${text} connlib/${text}`)));
});

Deno.test("os-release gives name and version, quoted or not", () => {
  assert.deepEqual(parseOsRelease('PRETTY_NAME="x"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\n'), {
    system: "Debian",
    systemVersion: "13",
  });
  assert.deepEqual(parseOsRelease("NAME='Alpine Linux'\nVERSION_ID=3.20.6\n"), {
    system: "Alpine Linux",
    systemVersion: "3.20.6",
  });
  assert.deepEqual(parseOsRelease(""), { system: "Linux", systemVersion: "0" });
});
