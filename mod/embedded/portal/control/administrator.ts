/** Does it: each change is validated as a whole, stored, and only then in force. */
import type { PortalCore } from "../core/core.ts";
import type { DeviceDetails } from "../core/device_details.ts";
import { diffPolicies, type KnownDevice, type PolicyDiff } from "../policy/diff.ts";
import type { PolicySnapshot } from "../policy/io.ts";
import type { Draft, PolicyKeeper } from "../policy/keeper.ts";
import type { ObjectKind, PolicyObject } from "../policy/objects.ts";
import type { PortalPolicy } from "../policy/policy.ts";
import { Refusal } from "../policy/refusal.ts";
import type { Portal } from "../server/portal.ts";
import type { Store } from "../store/store.ts";
import { StoreError } from "../store/store_error.ts";
import type { Id } from "../../../portal/types.ts";
import type { Administration } from "./administration.ts";

export interface AdministratorOptions {
  readonly portal: Portal & { readonly suspended: string | undefined };
  readonly keeper: PolicyKeeper;
  /** Undefined: nothing outlives the process. */
  readonly store: Store | undefined;
  /** Does something to the core, and stores and sends what follows. @throws StoreError */
  readonly run: <T>(work: (core: PortalCore, now: number) => T) => T;
}

export class Administrator implements Administration {
  readonly portal: AdministratorOptions["portal"];
  readonly #keeper: PolicyKeeper;
  readonly #store: Store | undefined;
  readonly #run: AdministratorOptions["run"];

  constructor({ portal, keeper, store, run }: AdministratorOptions) {
    this.portal = portal;
    this.#keeper = keeper;
    this.#store = store;
    this.#run = run;
  }

  get suspended(): string | undefined {
    return this.portal.suspended;
  }

  files(): readonly string[] {
    return this.#keeper.files;
  }

  objects(): readonly PolicyObject[] {
    return this.#keeper.objects;
  }

  addObject(object: PolicyObject): PolicyDiff {
    const store = this.#durable();
    const draft = this.#keeper.added(object);
    store.putObject(object);
    return this.#use(draft);
  }

  changeObject(kind: ObjectKind, name: string, changes: Readonly<Record<string, unknown>>): PolicyDiff {
    const store = this.#durable();
    const draft = this.#keeper.changed(kind, name, changes);
    store.putObject(draft.objects.find((one) => one.kind === kind && one.name === name)!);
    return this.#use(draft);
  }

  removeObject(kind: ObjectKind, name: string): PolicyDiff {
    const store = this.#durable();
    const draft = this.#keeper.removed(kind, name);
    // Before the object: whoever gets its name some day must not get its tokens.
    const role = kind === "gateway" ? "gateway" : kind === "client" || kind === "user" ? "client" : undefined;
    for (const token of this.portal.tokens()) {
      if (token.role === role && token.owner === name) this.portal.revokeToken(token.id);
    }
    store.removeObject(kind, name);
    return this.#use(draft);
  }

  reload(): PolicyDiff {
    return this.#use(this.#keeper.read());
  }

  /** Takes another policy instead of the file's. */
  usePolicy(policy: PortalPolicy): PolicyDiff {
    return this.#use(this.#keeper.given(policy));
  }

  preview(snapshot: PolicySnapshot): PolicyDiff {
    return this.#diff(this.#keeper.preview(snapshot).policy);
  }

  expireToken(id: Id, expiresAt: number): boolean {
    return this.#run((core) => core.expireToken(id, expiresAt));
  }

  removeDevice(id: Id): boolean {
    return this.#run((core, now) => core.removeDevice(id, now));
  }

  backup(path: string): void {
    if (this.#store === undefined) {
      throw new Refusal(409, "this portal keeps no state. Start it with --state.");
    }
    this.#store.backup(path);
  }

  /** What is acknowledged must outlive the process. */
  #durable(): Store {
    if (this.#store) return this.#store;
    const reason = "this portal keeps no state, so it would be forgotten at its end";
    throw new Refusal(409, `${reason}. Start it with --state, or write it into the policy file.`);
  }

  #use(draft: Draft): PolicyDiff {
    const diff = this.#diff(draft.policy);
    this.#keeper.accept(draft);
    try {
      this.#run((core) => core.setPolicy(draft.policy));
    } catch (error) {
      // The policy is in force, and what it is made of is kept. What follows for grants is stored when that is possible
      // again, or follows anew at the next start; until then nobody is served.
      if (!(error instanceof StoreError)) throw error;
    }
    return diff;
  }

  #diff(next: PortalPolicy): PolicyDiff {
    const unixNow = this.portal.unixNow();
    const devices = this.portal.devices().filter(({ role }) => role === "client")
      .map((device) => knownDevice(device, unixNow));
    return diffPolicies(this.#keeper.policy, next, devices);
  }
}

function knownDevice({ name, owner, verified, session }: DeviceDetails, unixNow: number): KnownDevice {
  return { name, owner, circumstances: session && { ...session, verified, unixNow } };
}
