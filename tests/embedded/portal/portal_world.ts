/** The portal's core on a virtual clock with devices that say exactly what a test tells them to. */
import assert from "node:assert/strict";
import { isProblem } from "../../../mod/embedded/portal/core/admission.ts";
import { type Hardware, NO_HARDWARE } from "../../../mod/embedded/portal/core/devices.ts";
import { type Closure, PortalCore } from "../../../mod/embedded/portal/core/core.ts";
import {
  nameBasedId,
  type PortalPolicy,
  type RelayPolicy,
} from "../../../mod/embedded/portal/policy/policy.ts";
import { parsePolicy } from "../../../mod/embedded/portal/policy/file.ts";
import type { RelayEntry } from "../../../mod/embedded/portal/core/relay_list.ts";
import type { Grant } from "../../../mod/embedded/portal/core/grants.ts";
import type { PortalEvent, StoredState } from "../../../mod/embedded/portal/core/state.ts";
import { SocketAddress } from "../../../mod/packet/address.ts";
import { formatKey } from "../../../mod/portal/key.ts";
import type { Dialect, Role } from "../../../mod/portal/login_url.ts";
import { CLIENT_KEY, GATEWAY_KEY, seededRandom } from "../../portal/support.ts";

export const POLICY = `
[[site]]
name = "home"
[[site]]
name = "work"
[[gateway]]
name = "cellar"
site = "home"
token = "gateway-token-0123456789"
[[gateway]]
name = "office"
site = "work"
token = "office-token-0123456789"
[[client]]
name = "laptop"
token = "laptop-token-0123456789"
[[client]]
name = "phone"
token = "phone-token-0123456789"
[[resource]]
name = "Intranet"
site = "home"
address = "10.20.0.0/16"
allow = ["everyone"]
filters = ["tcp/443"]
[[resource]]
name = "Printer"
site = "home"
address = "10.30.0.9"
allow = ["laptop"]
`;

export const RELAY: RelayPolicy = {
  stampSecret: "ad7c7480a51de6bef217f83628c5917f83e717c012e25f302bd2ed1df109a782",
  v4: SocketAddress.parse("203.0.113.10:3478")!,
  v6: SocketAddress.parse("[2001:db8::10]:3478")!,
};

const TOKENS = {
  cellar: "gateway-token-0123456789",
  office: "office-token-0123456789",
  laptop: "laptop-token-0123456789",
  phone: "phone-token-0123456789",
};

/** Fields of all payloads that tests look into; each payload has some of them. */
interface WirePayload {
  readonly status: string;
  readonly response: { readonly reason?: string };
  readonly reason: string;
  readonly ref: string;
  readonly id: string;
  readonly interface: { readonly ipv4: string; readonly ipv6: string; readonly [more: string]: unknown };
  readonly config: unknown;
  readonly account_slug: string;
  readonly authorizations: readonly unknown[];
  readonly flow_logs: { readonly api_url: string };
  readonly relays: readonly RelayEntry[];
  readonly connected: readonly RelayEntry[];
  readonly disconnected_ids: readonly string[];
  readonly resources: readonly { readonly id: string; readonly address: string }[];
  readonly resource: unknown;
  readonly client: { readonly [field: string]: unknown };
  readonly client_ice_credentials: unknown;
  readonly gateway_ice_credentials: unknown;
  readonly use_iceless: boolean;
  readonly expires_at: number;
  readonly flow_logs_ingest_token: string;
  readonly gateway_id: string;
  readonly gateway_group_id: string;
  readonly gateway_public_key: string;
  readonly gateway_ipv4: string;
  readonly preshared_key: string;
  readonly filters: unknown;
}

export interface Message {
  readonly topic: string;
  readonly event: string;
  readonly payload: WirePayload;
  readonly ref: unknown;
}

export function policyOf(text: string): PortalPolicy {
  return parsePolicy(text, {
    file: "policy.toml",
    readSecret: (path) => {
      throw new Error(`${path} can't be read`);
    },
  });
}

export interface WorldOptions {
  /** Text of the policy file. */
  readonly text?: string;
  /** What a store kept. */
  readonly stored?: StoredState;
  /** No store at all. */
  readonly forgetful?: boolean;
  /** When this world begins, ms after the usual begin. */
  readonly start?: number;
}

/** What is left of a portal's events: a store in memory. */
export class StoredEvents {
  readonly #devices = new Map<string, StoredState["devices"][number]>();
  readonly #grants = new Map<string, Grant>();
  readonly #tokens = new Map<string, StoredState["tokens"][number]>();

  apply(events: readonly PortalEvent[]): void {
    for (const event of events) {
      if (event.type === "store_device") this.#devices.set(event.record.id, event.record);
      if (event.type === "drop_device") this.#devices.delete(event.id);
      if (event.type === "store_token") this.#tokens.set(event.record.id, event.record);
      if (event.type === "drop_token") this.#tokens.delete(event.id);
      if (event.type === "store_grant") {
        this.#grants.set(`${event.grant.clientId} ${event.grant.resourceId}`, event.grant);
      }
      if (event.type === "drop_grant") this.#grants.delete(`${event.clientId} ${event.resourceId}`);
    }
  }

  state(): StoredState {
    return {
      devices: [...this.#devices.values()],
      grants: [...this.#grants.values()],
      tokens: [...this.#tokens.values()],
    };
  }
}

/** Thursday 2025-07-24, 09:00:00 UTC. */
export const UNIX_START = 1_753_347_600;

export class PortalWorld {
  now = 0;
  /** Seconds by which the portal's wall clock is wrong. */
  skew = 0;
  readonly core: PortalCore;
  readonly events: PortalEvent[] = [];
  readonly devices: FakeDevice[] = [];
  /** The socket of each message, in the order in which they left. */
  readonly sockets: number[] = [];
  readonly policy: PortalPolicy;

  constructor(options: WorldOptions = {}) {
    this.policy = policyOf(options.text ?? POLICY);
    this.now = options.start ?? 0;
    this.core = new PortalCore({
      policy: this.policy,
      relays: [RELAY],
      stored: options.forgetful ? undefined : options.stored ?? { devices: [], grants: [], tokens: [] },
      random: seededRandom(),
      unixNow: () => this.unixNow(),
      now: this.now,
    });
  }

  unixNow(): number {
    return UNIX_START + this.skew + Math.floor(this.now / 1000);
  }

  /** Connects a device and joins it, unless told otherwise. */
  connect(who: keyof typeof TOKENS, options: DeviceOptions = {}): FakeDevice {
    const device = new FakeDevice(this, who, options);
    this.devices.push(device);
    if (options.join !== false) device.inbox.push(...device.join());
    return device;
  }

  wait(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (let at; (at = this.core.pollTimeout()) !== undefined && at <= end;) {
      this.now = Math.max(this.now, at);
      this.core.handleTimeout(this.now);
      this.drain();
    }
    this.now = end;
  }

  reload(text: string): void {
    this.core.setPolicy(policyOf(text));
    this.drain();
  }

  drain(): void {
    const events: PortalEvent[] = [];
    for (let event; (event = this.core.pollEvent()) !== undefined;) events.push(event);
    for (let transmit; (transmit = this.core.pollTransmit()) !== undefined;) {
      const { socket, text } = transmit;
      this.sockets.push(socket);
      const message = JSON.parse(text);
      assert.deepEqual(Object.keys(message).sort(), ["event", "payload", "ref", "topic"]);
      this.devices.find((device) => device.socket === socket)!.inbox.push(message);
    }
    for (const event of events) {
      this.events.push(event);
      if (event.type !== "close") continue;
      const device = this.devices.find((one) => one.socket === event.socket)!;
      device.closedWith = event.code;
    }
  }

  /** What a store would hold now. */
  stored(): StoredState {
    const stored = new StoredEvents();
    stored.apply(this.events);
    return stored.state();
  }

  /** Grants that a store would hold and that allow something. */
  storedGrants(): Grant[] {
    return this.stored().grants.filter(({ ended }) => !ended);
  }
}

export interface DeviceOptions {
  readonly dialect?: Dialect;
  readonly externalId?: string;
  readonly publicKey?: string;
  readonly userAgent?: string;
  readonly join?: boolean;
  readonly remoteIp?: string;
  readonly region?: string;
  readonly hardware?: Partial<Hardware>;
}

export class FakeDevice {
  readonly role: Role;
  readonly socket: number;
  readonly id: string;
  readonly publicKey: string;
  readonly inbox: Message[] = [];
  closedWith: number | undefined;
  readonly #world: PortalWorld;
  #nextRef = 0;

  constructor(world: PortalWorld, who: keyof typeof TOKENS, options: DeviceOptions) {
    this.#world = world;
    this.role = who === "cellar" || who === "office" ? "gateway" : "client";
    this.publicKey = options.publicKey ?? (this.role === "gateway" ? GATEWAY_KEY : CLIENT_KEY);
    const answer = world.core.admit({
      role: this.role,
      dialect: options.dialect ?? "v1",
      token: TOKENS[who],
      externalId: options.externalId ?? who,
      name: who,
      publicKey: this.publicKey,
      userAgent: options.userAgent ?? "Debian/13 connlib/1.5.0 (x86_64; 6.12.30)",
      vsn: undefined,
      remoteIp: options.remoteIp ?? "198.51.100.20",
      region: options.region,
      hardware: { ...NO_HARDWARE, ...options.hardware },
    });
    assert.ok(!isProblem(answer), JSON.stringify(answer));
    const socket = world.core.handleOpen(answer, world.now);
    assert.ok(typeof socket === "number");
    this.socket = socket;
    this.id = nameBasedId("device", this.role, answer.owner, answer.externalId);
  }

  join(): Message[] {
    return this.say("phx_join", null);
  }

  /** Sends an event and returns what came back to this device at once. */
  say(event: string, payload: unknown, topic: string = this.role): Message[] {
    return this.sayText(JSON.stringify({ topic, event, payload, ref: this.#nextRef++ }));
  }

  sayText(text: string): Message[] {
    this.#world.core.handleText(this.socket, text, this.#world.now);
    this.#world.drain();
    return this.take();
  }

  /** The connection ends: it breaks, or is closed by the device. */
  hangUp(closure?: Closure): void {
    this.#world.core.handleClosed(this.socket, this.#world.now, closure);
    this.#world.drain();
  }

  /** Messages since the last call. */
  take(): Message[] {
    return this.inbox.splice(0);
  }

  /** The names of the events since the last call. */
  heard(): string[] {
    return this.take().map((message) => message.event);
  }
}

/** The payload of the first message with this event. */
export function find(messages: readonly Message[], event: string): WirePayload {
  const found = messages.find((message) => message.event === event);
  assert.ok(found, `no ${event} among ${messages.map((message) => message.event)}`);
  return found.payload;
}

export function resourceId(world: PortalWorld, name: string): string {
  return resourceIdOf(world.policy, name);
}

export function resourceIdOf(policy: PortalPolicy, name: string): string {
  return policy.resources.find((resource) => resource.name === name)!.id;
}

/** An old client asks for a resource, the gateway confirms. @returns what the client was told */
export function authorize(
  world: PortalWorld,
  client: FakeDevice,
  gateway: FakeDevice,
  name = "Intranet",
): Message[] {
  client.take();
  gateway.take();
  client.say("create_flow", { resource_id: resourceId(world, name), connected_gateway_ids: [gateway.id] });
  gateway.say("flow_authorized", { ref: find(gateway.take(), "authorize_flow").ref });
  return client.take();
}

/** A public key that nobody else has. */
export function publicKey(n: number): string {
  return formatKey(new Uint8Array(32).fill(n));
}
