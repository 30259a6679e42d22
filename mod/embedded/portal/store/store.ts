/**
 * What the portal remembers between runs, in one SQLite file: devices with their addresses, and grants. Write-ahead
 * logging keeps every committed change through a killed process.
 */
import { DatabaseSync } from "node:sqlite";
import type { DeviceRecord } from "../core/devices.ts";
import type { Grant } from "../core/grants.ts";
import type { TokenRecord } from "../core/tokens.ts";
import type { PortalEvent, StoredState } from "../core/state.ts";

const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE device (
    id TEXT PRIMARY KEY, role TEXT NOT NULL, owner TEXT NOT NULL, external_id TEXT NOT NULL, name TEXT NOT NULL,
    address_offset INTEGER NOT NULL UNIQUE, secret BLOB NOT NULL
  ) STRICT;
  CREATE TABLE grants (
    client_id TEXT NOT NULL, resource_id TEXT NOT NULL, gateway_id TEXT NOT NULL, client_key TEXT NOT NULL,
    client_token_hash TEXT NOT NULL, gateway_token_hash TEXT NOT NULL, policy_id TEXT NOT NULL, target TEXT NOT NULL, expires_at INTEGER NOT NULL,
    confirmed INTEGER NOT NULL,
    PRIMARY KEY (client_id, resource_id)
  ) STRICT;
  CREATE TABLE token (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, role TEXT NOT NULL, owner TEXT NOT NULL, provider_id TEXT,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
  ) STRICT;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

export class Store {
  readonly #db: DatabaseSync;

  /** @throws Error when the file can't be opened, is no database, or is one of a newer version */
  constructor(path: string) {
    try {
      this.#db = new DatabaseSync(path);
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;");
      const version = Number(this.#db.prepare("PRAGMA user_version").get()?.user_version);
      if (version === 0) this.#db.exec(`BEGIN IMMEDIATE; ${SCHEMA} COMMIT;`);
      else if (version !== SCHEMA_VERSION) {
        throw new Error(`it has version ${version}, this program ${SCHEMA_VERSION}`);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(
        `Cannot open the portal's state ${path}: ${reason}. Check the path, or name another file.`,
      );
    }
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
    }));
    const grants = this.#db.prepare("SELECT * FROM grants").all().map((row): Grant => ({
      clientId: String(row.client_id),
      resourceId: String(row.resource_id),
      gatewayId: String(row.gateway_id),
      clientKey: String(row.client_key),
      clientToken: String(row.client_token_hash),
      gatewayToken: String(row.gateway_token_hash),
      policyId: String(row.policy_id),
      target: String(row.target),
      expiresAt: Number(row.expires_at),
      confirmed: row.confirmed === 1,
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

  /** Applies the events that concern the store, all or none. */
  apply(events: readonly PortalEvent[]): void {
    const writes = events.filter((event) => event.type !== "close" && event.type !== "log");
    if (writes.length === 0) return;
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      for (const event of writes) this.#write(event);
      this.#db.exec("COMMIT");
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    this.#db.close();
  }

  #write(event: Exclude<PortalEvent, { type: "close" | "log" }>): void {
    switch (event.type) {
      case "store_device": {
        const { id, role, owner, externalId, name, offset, secret } = event.record;
        this.#db.prepare("INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?)")
          .run(id, role, owner, externalId, name, offset, secret);
        return;
      }
      case "store_grant": {
        const { grant } = event;
        this.#db.prepare("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").run(
          grant.clientId,
          grant.resourceId,
          grant.gatewayId,
          grant.clientKey,
          grant.clientToken,
          grant.gatewayToken,
          grant.policyId,
          grant.target,
          grant.expiresAt,
          grant.confirmed ? 1 : 0,
        );
        return;
      }
      case "store_token": {
        const { id, hash, role, owner, providerId, createdAt, expiresAt } = event.record;
        this.#db.prepare("INSERT OR REPLACE INTO token VALUES (?, ?, ?, ?, ?, ?, ?)")
          .run(id, hash, role, owner, providerId ?? null, createdAt, expiresAt);
        return;
      }
      case "drop_token":
        this.#db.prepare("DELETE FROM token WHERE id = ?").run(event.id);
        return;
      case "drop_grant":
        this.#db.prepare("DELETE FROM grants WHERE client_id = ? AND resource_id = ?")
          .run(event.clientId, event.resourceId);
    }
  }
}
