/** What can be done to a running portal besides what its pages do: its policy, the policy's objects, its state. */
import type { PolicyDiff } from "../policy/diff.ts";
import type { PolicySnapshot } from "../policy/io.ts";
import type { ObjectKind, PolicyObject } from "../policy/objects.ts";
import type { Portal } from "../server/portal.ts";
import type { Id } from "../../../portal/types.ts";

export interface Administration {
  readonly portal: Portal;
  /** Why it serves nobody at the moment, if so: its state can't be written. */
  readonly suspended: string | undefined;
  /** Paths of the policy file, first, and of the token and secret files that it names. */
  files(): readonly string[];
  /** What verbs made. */
  objects(): readonly PolicyObject[];
  /** @throws PolicyError, Refusal, StoreError; then nothing has changed. So do all that return a diff */
  addObject(object: PolicyObject): PolicyDiff;
  /** @param changes keys and their new values; null removes one */
  changeObject(kind: ObjectKind, name: string, changes: Readonly<Record<string, unknown>>): PolicyDiff;
  /** Its tokens go with it. */
  removeObject(kind: ObjectKind, name: string): PolicyDiff;
  /** Reads the policy file again. */
  reload(): PolicyDiff;
  /** What a policy file would change, if it were in force. @throws PolicyError */
  preview(snapshot: PolicySnapshot): PolicyDiff;
  /** Lets a token end at another time: Unix seconds. @returns false when there is no such token */
  expireToken(id: Id, expiresAt: number): boolean;
  /** Forgets a device; it is out at once, and new when it comes back. @returns false when there is no such device */
  removeDevice(id: Id): boolean;
  /** Writes a copy of the state. @throws StoreError, Refusal */
  backup(path: string): void;
}
