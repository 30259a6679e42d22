import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { tunnelIpv4 } from "../../../../mod/embedded/portal/core/tunnel_addresses.ts";
import type { PortalEvent } from "../../../../mod/embedded/portal/core/state.ts";
import { migrate, SCHEMA_VERSION } from "../../../../mod/embedded/portal/store/migrations.ts";
import { StoreError } from "../../../../mod/embedded/portal/store/store_error.ts";
import { Store } from "../../../../mod/embedded/portal/store/store.ts";
import { authorize, find, PortalWorld, resourceId } from "../portal_world.ts";

/** A folder that is gone afterwards. */
function inFolder(body: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    body(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const token = (n: number): PortalEvent => ({
  type: "store_token",
  record: {
    id: `t${n}`,
    hash: `hash ${n}`,
    role: "client",
    owner: "laptop",
    providerId: undefined,
    createdAt: n,
    expiresAt: n + 1,
  },
});

const message = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StoreError);
  assert.match(error.message, pattern);
  return true;
};

/** The tables of the first release. */
const VERSION_ONE = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE device (
    id TEXT PRIMARY KEY, role TEXT NOT NULL, owner TEXT NOT NULL, external_id TEXT NOT NULL, name TEXT NOT NULL,
    address_offset INTEGER NOT NULL UNIQUE
  ) STRICT;
  CREATE TABLE grants (
    client_id TEXT NOT NULL, resource_id TEXT NOT NULL, gateway_id TEXT NOT NULL, client_key TEXT NOT NULL,
    client_token_hash TEXT NOT NULL, gateway_token_hash TEXT NOT NULL, target TEXT NOT NULL, expires_at INTEGER NOT NULL, confirmed INTEGER NOT NULL,
    PRIMARY KEY (client_id, resource_id)
  ) STRICT;
  PRAGMA user_version = 1;
`;

/** A file as the first release left it, with a gateway, a laptop and a grant. */
function versionOne(path: string): void {
  const db = new DatabaseSync(path);
  db.exec(VERSION_ONE);
  db.exec(`
    INSERT INTO device VALUES ('g', 'gateway', 'home', 'ext-g', 'cellar', 7), ('c', 'client', 'laptop', 'ext-c', 'laptop', 9);
    INSERT INTO grants VALUES ('c', 'r', 'g', 'key', 'hash c', 'hash g', '10.0.0.0/8', 2145916800, 1);
  `);
  db.close();
}

Deno.test("a file of version 1: devices keep their ids and addresses, and every grant ends in a way that clients are told", () =>
  inFolder((folder) => {
    const path = `${folder}/state.db`;
    versionOne(path);
    for (let run = 0; run < 2; run++) {
      const store = new Store(path);
      const { devices, grants, tokens } = store.load();
      assert.deepEqual(
        devices.map(({ id, role, owner, externalId, offset }) => [id, role, owner, externalId, offset]),
        [
          ["g", "gateway", "home", "ext-g", 7],
          ["c", "client", "laptop", "ext-c", 9],
        ],
      );
      assert.ok(devices.every(({ secret }) => secret.length === 32));
      assert.notDeepEqual(devices[0]!.secret, devices[1]!.secret);
      assert.deepEqual(grants.map(({ clientId, resourceId, ended }) => [clientId, resourceId, ended]), [[
        "c",
        "r",
        true,
      ]]);
      assert.deepEqual([tokens, store.objects()], [[], []]);
      store.close();
    }
  }));

Deno.test("under a portal that was updated from version 1, devices keep their addresses and clients ask again", () =>
  inFolder((folder) => {
    const before = new PortalWorld();
    const gateway = before.connect("cellar");
    const laptop = before.connect("laptop");
    authorize(before, laptop, gateway);
    const { devices, grants } = before.stored();
    const path = `${folder}/state.db`;
    const db = new DatabaseSync(path);
    db.exec(VERSION_ONE);
    for (const { id, role, owner, externalId, name, offset } of devices) {
      db.prepare("INSERT INTO device VALUES (?, ?, ?, ?, ?, ?)").run(
        id,
        role,
        owner,
        externalId,
        name,
        offset,
      );
    }
    for (const one of grants) {
      db.prepare("INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)").run(
        one.clientId,
        one.resourceId,
        one.gatewayId,
        one.clientKey,
        one.clientToken,
        one.gatewayToken,
        one.target,
        one.expiresAt,
      );
    }
    db.close();
    const store = new Store(path);
    const after = new PortalWorld({ stored: store.load() });
    store.close();
    const [gatewayInit, clientJoin] = [after.connect("cellar"), after.connect("laptop")].map((one) =>
      one.take()
    );
    assert.deepEqual(find(gatewayInit!, "init").authorizations, []);
    assert.equal(
      find(clientJoin!, "init").interface.ipv4,
      tunnelIpv4(devices.find(({ id }) => id === laptop.id)!.offset),
    );
    assert.deepEqual(clientJoin!.slice(-2).map(({ event, payload }) => [event, payload.id ?? payload]), [
      ["resource_deleted", resourceId(after, "Intranet")],
      ["resource_created_or_updated", resourceId(after, "Intranet")],
    ]);
  }));

Deno.test("a migrated file has the same tables as a new one", () =>
  inFolder((folder) => {
    versionOne(`${folder}/old.db`);
    const shape = (path: string) => {
      const db = new DatabaseSync(path);
      migrate(db);
      const rows = db.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
        .all();
      const version = db.prepare("PRAGMA user_version").get()?.user_version;
      db.close();
      return [version, ...rows.map(({ name, sql }) => `${name} ${String(sql).replace(/\s+|"/g, " ")}`)];
    };
    assert.deepEqual(shape(`${folder}/old.db`), shape(`${folder}/new.db`));
    assert.equal(shape(`${folder}/new.db`)[0], SCHEMA_VERSION);
  }));

Deno.test("a migration that fails leaves the file as it was", () =>
  inFolder((folder) => {
    const path = `${folder}/state.db`;
    versionOne(path);
    const db = new DatabaseSync(path);
    db.exec("CREATE TABLE object (x TEXT)");
    assert.throws(() => migrate(db), /object already exists/);
    assert.equal(db.prepare("PRAGMA user_version").get()?.user_version, 1);
    assert.equal(db.prepare("SELECT count(*) AS n FROM grants").get()?.n, 1);
    db.close();
  }));

Deno.test("what was applied is there after the next opening, and nothing of what failed", () =>
  inFolder((folder) => {
    const path = `${folder}/state.db`;
    const first = new Store(path);
    first.apply([token(1), token(2)]);
    // The same hash twice is refused only by the database: the first half of the transaction must go, too.
    const broken = {
      type: "store_token",
      record: { ...(token(4) as { record: object }).record, hash: null },
    };
    assert.throws(() => first.apply([token(3), broken as unknown as PortalEvent]), message(/Cannot write/));
    first.apply([{ type: "drop_token", id: "t1" }]);
    first.close();
    const second = new Store(path);
    assert.deepEqual(second.load().tokens.map(({ id }) => id), ["t2"]);
    second.close();
  }));

Deno.test("objects are kept in the order of their making; a changed one keeps its place", () =>
  inFolder((folder) => {
    const path = `${folder}/state.db`;
    const first = new Store(path);
    first.putObject({ kind: "site", name: "home", document: {} });
    first.putObject({ kind: "client", name: "home", document: { groups: ["a"] } });
    first.putObject({ kind: "site", name: "work", document: {} });
    first.putObject({ kind: "site", name: "home", document: { id: "x" } });
    first.removeObject("site", "work");
    first.close();
    const second = new Store(path);
    assert.deepEqual(second.objects(), [
      { kind: "site", name: "home", document: { id: "x" } },
      { kind: "client", name: "home", document: { groups: ["a"] } },
    ]);
    second.close();
  }));

Deno.test("a state file has one portal at a time, and is free when that one is gone", () =>
  inFolder((folder) => {
    const path = `${folder}/state.db`;
    const first = new Store(path);
    assert.throws(() => new Store(path), message(/another process has it open\. Stop the other portal/));
    first.apply([token(1)]);
    first.close();
    new Store(path).close();
  }));

Deno.test("what is no state file, damaged, newer or out of reach is refused with what to do", () =>
  inFolder((folder) => {
    const path = `${folder}/state.db`;
    Deno.writeTextFileSync(path, "[[site]]\nname = 'this is the policy file, not the state'\n".repeat(20));
    assert.throws(() => new Store(path), message(/it is no state file\. Name another file with --state/));
    assert.throws(() => new Store(`${folder}/none/state.db`), message(/Check that the folder exists/));
    const newer = `${folder}/newer.db`;
    const db = new DatabaseSync(newer);
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    db.close();
    assert.throws(
      () => new Store(newer),
      message(/a newer program wrote it: it has version \d+, this program knows/),
    );
    const damaged = `${folder}/damaged.db`;
    const store = new Store(damaged);
    for (let i = 0; i < 400; i++) store.apply([token(i)]);
    store.close();
    const bytes = Deno.readFileSync(damaged);
    bytes.fill(0xa5, 4096 * 6, 4096 * 8);
    Deno.writeFileSync(damaged, bytes);
    assert.throws(() => new Store(damaged), message(/it is damaged\. Put back a backup/));
    assert.throws(
      () => new Store("/proc/version"),
      message(/it is no state file|may not write|opened or made/),
    );
  }));

Deno.test("a backup is a whole state file of that moment, for its owner only, and never replaces a file", () =>
  inFolder((folder) => {
    const store = new Store(`${folder}/state.db`);
    store.apply([token(1)]);
    store.backup(`${folder}/backup.db`);
    store.apply([token(2)]);
    assert.throws(() => store.backup(`${folder}/backup.db`), message(/there is such a file already/));
    store.close();
    assert.equal(Deno.statSync(`${folder}/backup.db`).mode! & 0o777, 0o600);
    const copy = new Store(`${folder}/backup.db`);
    assert.deepEqual(copy.load().tokens.map(({ id }) => id), ["t1"]);
    copy.close();
  }));

Deno.test("a probe of a sound file leaves nothing behind", () =>
  inFolder((folder) => {
    const store = new Store(`${folder}/state.db`);
    store.probe();
    store.probe();
    store.close();
    const db = new DatabaseSync(`${folder}/state.db`);
    assert.equal(db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'probe'").get()?.n, 0);
    db.close();
  }));

Deno.test("secrets in the state file are for its owner alone", () =>
  inFolder((folder) => {
    const path = `${folder}/state.db`;
    const store = new Store(path);
    store.apply([token(1)]);
    for (const { name } of Deno.readDirSync(folder)) {
      assert.equal(Deno.statSync(`${folder}/${name}`).mode! & 0o077, 0, name);
    }
    store.close();
  }));
