import assert from "node:assert/strict";
import { firezoneId, IDENTITY_FILES, type IdentityFiles } from "../../mod/host/identity.ts";
import { externalId } from "../../mod/portal/external_id.ts";
import { Sysctls } from "../../mod/host/sysctl.ts";

const ID_FILE = "/var/lib/firezone/gateway_id";

function memoryFiles(content: Record<string, string>): IdentityFiles {
  return { read: (path) => content[path], create: (path, text) => content[path] ??= text };
}

Deno.test("an id that the operator gives is used as it is", () => {
  assert.equal(firezoneId('{"id":"x"}', memoryFiles({ [ID_FILE]: "other" })), '{"id":"x"}');
});

Deno.test("the id file is read as JSON, or verbatim when it is none", () => {
  assert.equal(firezoneId(undefined, memoryFiles({ [ID_FILE]: '{"id":"abc"}' })), "abc");
  assert.equal(firezoneId("", memoryFiles({ [ID_FILE]: "plain-id\n" })), "plain-id");
});

Deno.test("without an id file the id is derived from the machine-id with its newline and is not kept", () => {
  const content: Record<string, string> = { "/etc/machine-id": "0123456789abcdef0123456789abcdef\n" };
  const derived = "eeefe5d1cb3807dfc3ae24794878ec3147027390d839d1d718d8e42bcfde3336";
  assert.equal(firezoneId(undefined, memoryFiles(content)), derived);
  assert.equal(content[ID_FILE], undefined);
  assert.notEqual(
    firezoneId(undefined, memoryFiles({ "/etc/machine-id": content["/etc/machine-id"]!.trim() })),
    derived,
  );
});

Deno.test("an id file comes before the machine-id, an empty one does not count", () => {
  const machine = { "/etc/machine-id": "0123456789abcdef0123456789abcdef\n" };
  assert.equal(firezoneId(undefined, memoryFiles({ ...machine, [ID_FILE]: '{"id":"kept"}' })), "kept");
  assert.match(firezoneId(undefined, memoryFiles({ ...machine, [ID_FILE]: " \n" })), /^eeefe5d1/);
});

Deno.test("a gateway that older software knew by its file's whole text keeps that id when it is given", () => {
  const text = '{"id":"7d9f0c"}';
  const files = memoryFiles({ [ID_FILE]: text });
  assert.equal(firezoneId(undefined, files), "7d9f0c");
  assert.equal(firezoneId(text, files), text, 'FIREZONE_ID="$(cat /var/lib/firezone/gateway_id)"');
  assert.equal(externalId(text), text, "and it goes to the portal as it is");
});

Deno.test("a file that holds JSON of another kind is an id verbatim", () => {
  for (const text of ['{"id":7}', "[1]", '"quoted"', "null", '{"id"']) {
    assert.equal(firezoneId(undefined, memoryFiles({ [ID_FILE]: `${text}\n` })), text);
  }
});

Deno.test("without a machine-id a random id is made once and kept", () => {
  const content: Record<string, string> = {};
  const id = firezoneId(undefined, memoryFiles(content));
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.equal(content[ID_FILE], `{"id":"${id}"}`);
  assert.equal(firezoneId(undefined, memoryFiles(content)), id);
});

Deno.test("an id file that cannot be read is an error with what to do", () => {
  const files: IdentityFiles = {
    read: () => {
      throw new Error("denied");
    },
    create: (_, text) => text,
  };
  assert.throws(() => firezoneId(undefined, files), /FIREZONE_ID[^]*\/var\/lib\/firezone/);
});

Deno.test("the id file is created with mode 0640, whole, and never replaced", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/lib/firezone/gateway_id`;
    assert.equal(IDENTITY_FILES.create(path, "first"), "first");
    assert.equal(IDENTITY_FILES.create(path, "second"), "first");
    assert.equal(Deno.statSync(path).mode! & 0o777, 0o640);
    assert.equal([...Deno.readDirSync(`${folder}/lib/firezone`)].length, 1);
    assert.equal(IDENTITY_FILES.read(`${folder}/none`), undefined);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("settings are put back at the end, but only those that we changed and nobody else since", () => {
  const values: Record<string, string> = {
    "/proc/sys/net/ipv4/ip_forward": "0\n",
    "/proc/sys/net/ipv6/conf/all/forwarding": "1\n",
    "/proc/sys/net/ipv4/conf/all/src_valid_mark": "0\n",
  };
  const writes: string[] = [];
  const sysctls = new Sysctls({
    exists: () => true,
    read: (path) => values[path]!,
    write: (path, text) => {
      writes.push(`${path}=${text}`);
      values[path] = text + "\n";
    },
  });
  sysctls.set("net.ipv4.ip_forward", "1");
  sysctls.set("net.ipv6.conf.all.forwarding", "1");
  sysctls.set("net.ipv4.conf.all.src_valid_mark", "1");
  values["/proc/sys/net/ipv4/conf/all/src_valid_mark"] = "2\n";
  sysctls.restore();
  sysctls.restore();
  assert.deepEqual(writes, [
    "/proc/sys/net/ipv4/ip_forward=1",
    "/proc/sys/net/ipv4/conf/all/src_valid_mark=1",
    "/proc/sys/net/ipv4/ip_forward=0",
  ]);
});

Deno.test("a setting that cannot be changed is an error with the command for the host", () => {
  const sysctls = new Sysctls({
    exists: () => true,
    read: () => "0",
    write: () => {
      throw new Error("read-only");
    },
  });
  assert.throws(() => sysctls.set("net.ipv4.ip_forward", "1"), /sysctl -w net\.ipv4\.ip_forward="1"/);
});

Deno.test("a limit is raised, never lowered", () => {
  const values: Record<string, string> = { "/proc/sys/net/core/rmem_max": "1000\n" };
  const sysctls = new Sysctls({
    exists: () => true,
    read: (path) => values[path]!,
    write: (path, text) => {
      values[path] = text;
    },
  });
  sysctls.raise("net.core.rmem_max", 500);
  assert.equal(values["/proc/sys/net/core/rmem_max"], "1000\n");
  sysctls.raise("net.core.rmem_max", 2000);
  assert.equal(values["/proc/sys/net/core/rmem_max"], "2000");
});
