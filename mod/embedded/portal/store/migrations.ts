/**
 * The versions of the state file, as the steps from each to the next. A released step is never changed: files of all
 * versions are out there. `PRAGMA user_version` says which one a file has; all missing steps are one transaction.
 */
import type { DatabaseSync } from "node:sqlite";

/** Version 1: devices and grants. */
const DEVICES_AND_GRANTS = `
  CREATE TABLE device (
    id TEXT PRIMARY KEY, role TEXT NOT NULL, owner TEXT NOT NULL, external_id TEXT NOT NULL, name TEXT NOT NULL,
    address_offset INTEGER NOT NULL UNIQUE
  ) STRICT;
  CREATE TABLE grants (
    client_id TEXT NOT NULL, resource_id TEXT NOT NULL, gateway_id TEXT NOT NULL, client_key TEXT NOT NULL,
    client_token_hash TEXT NOT NULL, gateway_token_hash TEXT NOT NULL, target TEXT NOT NULL, expires_at INTEGER NOT NULL, confirmed INTEGER NOT NULL,
    PRIMARY KEY (client_id, resource_id)
  ) STRICT;
`;

/**
 * Version 2: what devices say of themselves, tokens, and objects made by verbs.
 *
 * Devices keep ids and addresses; their secrets are new, which nobody notices before both ends connect anew. Grants
 * of version 1 don't say by which policy they were given: they end, and clients are told so and ask again.
 */
const TOKENS_AND_OBJECTS = `
  ALTER TABLE device RENAME TO device_1;
  CREATE TABLE device (
    id TEXT PRIMARY KEY, role TEXT NOT NULL, owner TEXT NOT NULL, external_id TEXT NOT NULL, name TEXT NOT NULL,
    address_offset INTEGER NOT NULL UNIQUE, secret BLOB NOT NULL, verified INTEGER NOT NULL, remote_ip TEXT NOT NULL,
    region TEXT, device_serial TEXT, device_uuid TEXT, identifier_for_vendor TEXT, firebase_installation_id TEXT
  ) STRICT;
  INSERT INTO device
    SELECT id, role, owner, external_id, name, address_offset, randomblob(32), 0, '', NULL, NULL, NULL, NULL, NULL
    FROM device_1;
  DROP TABLE device_1;
  ALTER TABLE grants RENAME TO grants_1;
  CREATE TABLE grants (
    client_id TEXT NOT NULL, resource_id TEXT NOT NULL, gateway_id TEXT NOT NULL, client_key TEXT NOT NULL,
    gateway_key TEXT NOT NULL, client_token_hash TEXT NOT NULL, gateway_token_hash TEXT NOT NULL, policy_id TEXT NOT NULL,
    target TEXT NOT NULL, expires_at INTEGER NOT NULL, confirmed INTEGER NOT NULL, ended INTEGER NOT NULL,
    PRIMARY KEY (client_id, resource_id)
  ) STRICT;
  INSERT INTO grants
    SELECT client_id, resource_id, gateway_id, client_key, '', client_token_hash, gateway_token_hash, '', target,
      expires_at, confirmed, 1
    FROM grants_1;
  DROP TABLE grants_1;
  CREATE TABLE token (
    id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, role TEXT NOT NULL, owner TEXT NOT NULL, provider_id TEXT,
    created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE object (
    kind TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (kind, name)
  ) STRICT;
`;

const STEPS: readonly string[] = [DEVICES_AND_GRANTS, TOKENS_AND_OBJECTS];

/** The version that this program reads and writes. */
export const SCHEMA_VERSION = STEPS.length;

/** Brings a database up to {@link SCHEMA_VERSION}, all or nothing. @throws Error when it is newer */
export function migrate(db: DatabaseSync): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    const version = Number(db.prepare("PRAGMA user_version").get()?.user_version);
    if (version > SCHEMA_VERSION) {
      throw new Error(
        `a newer program wrote it: it has version ${version}, this program knows ${SCHEMA_VERSION}`,
      );
    }
    for (const step of STEPS.slice(version)) db.exec(step);
    if (version < SCHEMA_VERSION) db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
