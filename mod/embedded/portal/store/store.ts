/**
 * What the portal remembers between runs, in one SQLite file: devices with their addresses, grants, tokens, and the
 * objects that verbs made.
 *
 * Write-ahead logging with `synchronous = FULL`: a transaction is on the disk when it returns, so that what was
 * acknowledged survives a killed process and a power cut (as far as the disk keeps its word). The file is locked for as
 * long as it is open: two portals on one file would give addresses out twice.
 */
import { DatabaseSync } from "node:sqlite";
import type { DeviceRecord } from "../core/devices.ts";
import type { Grant } from "../core/grants.ts";
import type { TokenRecord } from "../core/tokens.ts";
import type { PortalEvent, StoredState } from "../core/state.ts";
import { isObjectKind, type ObjectKind, type PolicyObject } from "../policy/objects.ts";
import { migrate } from "./migrations.ts";
import { StoreError } from "./store_error.ts";

export class Store {
  readonly #db: DatabaseSync;

  readonly #path: string;

  /** @throws StoreError when the file can't be opened, is damaged, no state file, a newer one, or in use */
  constructor(path: string) {
    this.#path = path;
    let db: DatabaseSync | undefined;
    // Secrets are in it. Nothing but SQLite may open it in this process: closing it would take SQLite's lock away.
    const umask = Deno.umask(0o077);
    try {
      db = new DatabaseSync(path);
      db.exec("PRAGMA busy_timeout = 500; PRAGMA locking_mode = EXCLUSIVE;");
      db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
      const [damage] = Object.values(db.prepare("PRAGMA integrity_check(1)").get() ?? {});
      if (damage !== "ok") throw new Error(`database disk image is malformed: ${damage}`);
      migrate(db);
      Deno.chmodSync(path, 0o600);
    } catch (error) {
      db?.close();
      throw StoreError.of("open", path, error);
    } finally {
      Deno.umask(umask);
    }
    this.#db = db;
  }

  load(): StoredState {
    const devices = this.#db.prepare("SELECT * FROM device").all().map((row): DeviceRecord => ({
      id: String(row.id),
      role: row.role === "gateway" ? "gateway" : "client",
      owner: String(row.owner),
      externalId: String(row.external_id),
      name: String(row.name),
      offset: Number(row.address_offset),
      secret: row.secret as Uint8Array,
      verified: row.verified === 1,
      remoteIp: String(row.remote_ip),
      region: textOrNothing(row.region),
      hardware: {
        deviceSerial: textOrNothing(row.device_serial),
        deviceUuid: textOrNothing(row.device_uuid),
        identifierForVendor: textOrNothing(row.identifier_for_vendor),
        firebaseInstallationId: textOrNothing(row.firebase_installation_id),
      },
    }));
    const grants = this.#db.prepare("SELECT * FROM grants").all().map((row): Grant => ({
      clientId: String(row.client_id),
      resourceId: String(row.resource_id),
      gatewayId: String(row.gateway_id),
      clientKey: String(row.client_key),
      gatewayKey: String(row.gateway_key),
      clientToken: String(row.client_token_hash),
      gatewayToken: String(row.gateway_token_hash),
      policyId: String(row.policy_id),
      target: String(row.target),
      expiresAt: Number(row.expires_at),
      confirmed: row.confirmed === 1,
      ended: row.ended === 1,
    }));
    const tokens = this.#db.prepare("SELECT * FROM token").all().map((row): TokenRecord => ({
      id: String(row.id),
      hash: String(row.hash),
      role: row.role === "gateway" ? "gateway" : "client",
      owner: String(row.owner),
      providerId: row.provider_id === null ? undefined : String(row.provider_id),
      createdAt: Number(row.created_at),
      expiresAt: Number(row.expires_at),
    }));
    return { devices, grants, tokens };
  }

  /** Applies the events that concern the store, all or none. @throws StoreError; then nothing may be acknowledged */
  apply(events: readonly PortalEvent[]): void {
    const writes = events.filter((event) => event.type !== "close" && event.type !== "log");
    if (writes.length === 0) return;
    this.#transaction(() => {
      for (const event of writes) this.#write(event);
    });
  }

  /** What verbs made, in the order of its making. */
  objects(): PolicyObject[] {
    return this.#db.prepare("SELECT * FROM object ORDER BY rowid").all().flatMap((row) => {
      const kind = String(row.kind);
      const document = JSON.parse(String(row.document));
      return isObjectKind(kind) ? [{ kind, name: String(row.name), document }] : [];
    });
  }

  /** Makes or replaces an object. @throws StoreError */
  putObject({ kind, name, document }: PolicyObject): void {
    this.#transaction(() =>
      this.#db.prepare(
        "INSERT INTO object VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET document = excluded.document",
      ).run(kind, name, JSON.stringify(document))
    );
  }

  /** @throws StoreError */
  removeObject(kind: ObjectKind, name: string): void {
    this.#transaction(() =>
      this.#db.prepare("DELETE FROM object WHERE kind = ? AND name = ?").run(kind, name)
    );
  }

  /** Whether it can be written again, after an error. @throws StoreError */
  probe(): void {
    this.#transaction(() => {
      // Room for more than the largest transaction.
      this.#db.exec(
        "CREATE TABLE probe (filler BLOB) STRICT; INSERT INTO probe VALUES (zeroblob(65536)); DROP TABLE probe;",
      );
    });
  }

  /** Writes a copy of the whole as of now. @throws StoreError, also when there is such a file already */
  backup(path: string): void {
    try {
      Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
      this.#db.prepare("VACUUM INTO ?").run(path);
    } catch (error) {
      throw StoreError.of("back up", this.#path, error);
    }
  }

  close(): void {
    this.#db.close();
  }

  #transaction(work: () => void): void {
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      // Some errors have rolled it back already.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw StoreError.of("write", this.#path, error);
    }
  }

  #write(event: Exclude<PortalEvent, { type: "close" | "log" }>): void {
    switch (event.type) {
      case "store_device": {
        const { record } = event, { hardware } = record;
        this.#db.prepare("INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
          .run(
            record.id,
            record.role,
            record.owner,
            record.externalId,
            record.name,
            record.offset,
            record.secret,
            record.verified ? 1 : 0,
            record.remoteIp,
            record.region ?? null,
            hardware.deviceSerial ?? null,
            hardware.deviceUuid ?? null,
            hardware.identifierForVendor ?? null,
            hardware.firebaseInstallationId ?? null,
          );
        return;
      }
      case "store_grant": {
        const { grant } = event;
        this.#db.prepare("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").run(
          grant.clientId,
          grant.resourceId,
          grant.gatewayId,
          grant.clientKey,
          grant.gatewayKey,
          grant.clientToken,
          grant.gatewayToken,
          grant.policyId,
          grant.target,
          grant.expiresAt,
          grant.confirmed ? 1 : 0,
          grant.ended ? 1 : 0,
        );
        return;
      }
      case "store_token": {
        const { id, hash, role, owner, providerId, createdAt, expiresAt } = event.record;
        this.#db.prepare("INSERT OR REPLACE INTO token VALUES (?, ?, ?, ?, ?, ?, ?)")
          .run(id, hash, role, owner, providerId ?? null, createdAt, expiresAt);
        return;
      }
      case "drop_device":
        this.#db.prepare("DELETE FROM device WHERE id = ?").run(event.id);
        return;
      case "drop_token":
        this.#db.prepare("DELETE FROM token WHERE id = ?").run(event.id);
        return;
      case "drop_grant":
        this.#db.prepare("DELETE FROM grants WHERE client_id = ? AND resource_id = ?")
          .run(event.clientId, event.resourceId);
    }
  }
}

function textOrNothing(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
