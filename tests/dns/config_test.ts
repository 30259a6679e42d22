import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  candidateNames,
  type FileReader,
  HOSTS,
  parseHosts,
  parseResolvConf,
  RESOLV_CONF,
  SystemConfig,
} from "../../mod/dns/mod.ts";
import { formatIp } from "../../mod/packet/mod.ts";

Deno.test("resolv.conf: nameservers in order and once, comments, zones and nonsense skipped", () => {
  const { nameservers, search, ndots } = parseResolvConf(
    "# a comment\nnameserver 10.0.0.2\n nameserver\t10.0.0.1 # why\nnameserver 010.0.0.3\nnameserver 10.0.0.2\n" +
      "nameserver fe80::1%eth0\nnameserver\nnameserverx 1.1.1.1\nNAMESERVER 8.8.8.8\n",
  );
  assert.deepEqual(nameservers.map(({ key }) => key), ["10.0.0.2:53", "10.0.0.1:53", "[fe80::1]:53"]);
  assert.deepEqual(search, []);
  assert.equal(ndots, 1);
});

Deno.test("resolv.conf: the last of search and domain counts, ndots is bounded", () => {
  const { search, ndots } = parseResolvConf(
    "domain one.test\nsearch Two.test. three.test\noptions rotate ndots:2\noptions ndots:99\n",
  );
  assert.deepEqual(search, ["two.test", "three.test"]);
  assert.equal(ndots, 15);
  assert.deepEqual(parseResolvConf("search a.test b.test\ndomain c.test d.test").search, ["c.test"]);
});

Deno.test("a name with enough dots is tried as it is first, a short one last", () => {
  const conf = { nameservers: [], search: ["one.test", "two.test"], ndots: 1 };
  assert.deepEqual(candidateNames("app.example.com", conf), [
    "app.example.com",
    "app.example.com.one.test",
    "app.example.com.two.test",
  ]);
  assert.deepEqual(candidateNames("app", conf), ["app.one.test", "app.two.test", "app"]);
  assert.deepEqual(candidateNames(`${"a.".repeat(120)}com`, conf).length, 3);
  assert.deepEqual(candidateNames(`${"a.".repeat(124)}com`, conf).length, 1, "suffixed it would be no name");
});

Deno.test("hosts: every name of a line, both families of a name, lower case", () => {
  const hosts = parseHosts(
    "10.0.0.1 App.test app\n::1 app.test # loopback\n# 10.0.0.9 no\nnonsense x\n\n10.0.0.2\n",
  );
  assert.deepEqual(hosts.get("app.test")!.map(formatIp), ["10.0.0.1", "::1"]);
  assert.deepEqual(hosts.get("app")!.map(formatIp), ["10.0.0.1"]);
  assert.equal(hosts.size, 2);
});

Deno.test("any text is a configuration, however little of it", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    parseResolvConf(text);
    parseHosts(text);
  }));
});

class Files implements FileReader {
  readonly files = new Map<string, { version: string; text: string | undefined }>();
  looks = 0;

  version(path: string): string | undefined {
    this.looks++;
    return this.files.get(path)?.version;
  }

  read(path: string): string {
    const text = this.files.get(path)?.text;
    if (text === undefined) throw new Error("gone");
    return text;
  }
}

Deno.test("changed files are read again, looked at once per second; a missing one keeps its content", () => {
  const files = new Files();
  files.files.set(RESOLV_CONF, { version: "1", text: "nameserver 10.0.0.1" });
  const config = new SystemConfig(files, 0);
  const servers = () => config.resolvConf.nameservers.map(({ ip }) => ip).join();
  assert.equal(servers(), "10.0.0.1");
  assert.equal(config.hosts.size, 0);
  files.files.set(RESOLV_CONF, { version: "2", text: "nameserver 10.0.0.2" });
  const looks = files.looks;
  assert.equal(config.refresh(999), false);
  assert.equal(files.looks, looks);
  assert.equal(config.refresh(1000), true);
  assert.equal(servers(), "10.0.0.2");
  assert.equal(config.refresh(2000), false);
  files.files.set(HOSTS, { version: "1", text: "10.0.0.7 here" });
  assert.equal(config.refresh(3000), true);
  assert.ok(config.hosts.has("here"));
  files.files.delete(RESOLV_CONF);
  assert.equal(config.refresh(4000), false);
  files.files.set(RESOLV_CONF, { version: "3", text: undefined });
  config.refresh(5000);
  assert.equal(servers(), "10.0.0.2");
  files.files.set(RESOLV_CONF, { version: "3", text: "" });
  config.refresh(6000);
  assert.equal(servers(), "");
});

Deno.test("without a resolv.conf there is no start; without hosts there is", () => {
  assert.throws(() => new SystemConfig(new Files(), 0), /Cannot read \/etc\/resolv.conf/);
});
