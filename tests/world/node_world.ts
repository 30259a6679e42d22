/**
 * A client and a gateway with their portal and relays:
 *
 *     client ── [NAT] ── internet ── [NAT] ── gateway
 *                        │      │
 *                     relay-1  relay-2 …
 *
 * The portal here does what the real one does for the connection layer: it tells both ends their relays, derives the
 * ICE credentials and the preshared key from both public keys, and passes candidates on.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import type { NodeEvent, RelayDescription } from "../../mod/node/mod.ts";
import type { Host } from "./host.ts";
import type { LinkConditions } from "./link.ts";
import type { Nat, NatKind } from "./nat.ts";
import { NodeMachine } from "./node_machine.ts";
import { Portal } from "./portal.ts";
import { RelayMachine } from "./relay.ts";
import { World, type WorldOptions } from "./world.ts";

export const SOCKET_PORT = 52625;

export type Role = "client" | "gateway";

type PortalMessage =
  | {
    readonly type: "relays";
    readonly removed: readonly string[];
    readonly relays: readonly RelayDescription[];
  }
  | { readonly type: "authorize"; readonly publicKey: Uint8Array }
  | { readonly type: "authorized"; readonly publicKey: Uint8Array }
  | { readonly type: "candidates"; readonly candidates: readonly string[] }
  | { readonly type: "invalid-candidates"; readonly candidates: readonly string[] };

export interface NodeWorldOptions extends WorldOptions {
  readonly clientNat?: NatKind;
  readonly gatewayNat?: NatKind;
  readonly conditions?: Partial<LinkConditions>;
  readonly relays?: number;
  readonly families?: readonly (4 | 6)[];
  /** The gateway sends every text back, as an echo server behind it would; true by default. */
  readonly echo?: boolean;
}

interface End {
  readonly host: Host;
  readonly nat: Nat | undefined;
  machine: NodeMachine;
}

export class NodeWorld {
  readonly world: World;
  readonly portal: Portal<PortalMessage>;
  readonly relayHosts = new Map<string, Host>();
  readonly relays = new Map<string, RelayMachine>();
  readonly ends: Readonly<Record<Role, End>>;
  readonly #hasEcho: boolean;

  constructor(options: NodeWorldOptions = {}) {
    this.#hasEcho = options.echo ?? true;
    const world = this.world = new World(options);
    this.portal = new Portal(world);
    for (let i = 1; i <= (options.relays ?? 1); i++) this.startRelay(`relay-${i}`);
    this.ends = {
      client: this.#end("client", options.clientNat, options),
      gateway: this.#end("gateway", options.gatewayNat, options),
    };
    for (const role of ["client", "gateway"] as const) {
      this.portal.join(role, (message) => this.#receive(role, message));
      this.tellRelays(role);
    }
    world.run(1_000);
  }

  get client(): NodeMachine {
    return this.ends.client.machine;
  }

  get gateway(): NodeMachine {
    return this.ends.gateway.machine;
  }

  /** Starts a relay; the portal doesn't tell anybody by itself. */
  startRelay(id: string): void {
    const number = this.relayHosts.size + 2;
    const host = this.world.host(id)
      .connect(this.world.internet, { v4: `198.51.100.${number}`, v6: `2001:db8:1::${number}` }, {
        latency: 2,
      });
    this.relayHosts.set(id, host);
    this.relays.set(id, new RelayMachine(host, this.world.random.fork()));
  }

  /** The relay's process ends and another starts on its host: no allocation survives, and with `secret` credentials do. */
  restartRelay(id: string, secret?: string): void {
    this.killRelay(id);
    this.reviveRelay(id, secret);
  }

  /** Starts a relay again that was killed. */
  reviveRelay(id: string, secret?: string): void {
    this.relays.set(id, new RelayMachine(this.relayHosts.get(id)!, this.world.random.fork(), secret));
  }

  killRelay(id: string): void {
    this.relayHosts.get(id)!.kill(this.relays.get(id)!);
    this.relays.delete(id);
  }

  /** The portal tells `role` which relays there are. */
  tellRelays(role: Role, removed: readonly string[] = []): void {
    const { machine } = this.ends[role];
    const relays = [...this.relays].map(([id, relay]) => ({
      id,
      ...relay.addresses,
      ...relay.credentialsFor(machine.publicKey.toBase64()),
    }));
    this.portal.send("portal", role, { type: "relays", removed, relays });
  }

  /** The client wants a resource: the portal asks the gateway, then answers the client. */
  authorize(): void {
    this.portal.send("client", "gateway", { type: "authorize", publicKey: this.client.publicKey });
  }

  /** Ends the process as SIGKILL does and starts a new one, with a new key. */
  restart(role: Role): void {
    const end = this.ends[role];
    end.host.kill(end.machine);
    end.machine = this.#machine(role);
    end.host.bind(SOCKET_PORT, end.machine);
    this.tellRelays(role);
  }

  /** Authorises and sends until a text has come back; ms that took, undefined when more than `limit`. */
  connect(limit = 10_000): number | undefined {
    const start = this.world.now;
    this.authorize();
    return this.#ping(limit) ? this.world.now - start : undefined;
  }

  /** True when a text gets to the gateway and back within `limit` ms; tries again every 10 ms. */
  exchange(limit = 1_000): boolean {
    return this.#ping(limit);
  }

  /** Sends pings every 100 ms for `ms`; the longest time without an echo. */
  longestOutage(ms: number): number {
    const { world } = this;
    const start = world.now;
    const stop = this.#pingEvery(100);
    world.run(ms);
    stop();
    const echoes = this.client.received.filter(({ at }) => at >= start).map(({ at }) => at);
    const times = [start, ...echoes, world.now];
    return Math.max(...times.slice(1).map((at, i) => at - times[i]!));
  }

  /** `direct` or `relayed`, as an end last reported. */
  path(role: Role): string | undefined {
    const paths = this.ends[role].machine.events.filter((event) => event.type === "path");
    return paths.at(-1)?.kind;
  }

  failures(): string[] {
    return [this.client, this.gateway].flatMap(({ events }) =>
      events.flatMap((event) => (event.type === "failed" ? [event.reason] : []))
    );
  }

  #ping(limit: number): boolean {
    const { world } = this;
    const start = world.now;
    const stop = this.#pingEvery(10);
    const heard = world.runUntil(() => (this.client.received.at(-1)?.at ?? -1) > start, limit);
    stop();
    return heard;
  }

  /** Sends a text now and every `interval` ms until the returned function is called. */
  #pingEvery(interval: number): () => void {
    let isOver = false;
    const ping = () => {
      if (isOver) return;
      this.client.send("gateway", "ping");
      this.world.after(interval, ping);
    };
    this.world.after(0, ping);
    return () => isOver = true;
  }

  #machine(role: Role): NodeMachine {
    const { world } = this;
    const machine: NodeMachine = new NodeMachine({
      role,
      random: world.random.fork(),
      now: () => world.now,
      onEvent: (event) => this.#report(role, event),
      ...(role === "gateway" && this.#hasEcho
        ? { onText: (text, from) => void machine.send(from, text) }
        : {}),
    });
    return machine;
  }

  #report(role: Role, event: NodeEvent): void {
    const other = role === "client" ? "gateway" : "client";
    if (event.type === "candidates" || event.type === "invalid-candidates") {
      this.portal.send(role, other, { type: event.type, candidates: event.candidates });
    } else if (event.type === "no-relays") this.tellRelays(role);
  }

  #receive(role: Role, message: PortalMessage): void {
    const { machine } = this.ends[role];
    const other = role === "client" ? "gateway" : "client";
    switch (message.type) {
      case "relays":
        return machine.updateRelays(message.removed, message.relays);
      case "candidates":
        return machine.addCandidates(other, message.candidates);
      case "invalid-candidates":
        return machine.removeCandidates(other, message.candidates);
      case "authorize":
        // The answer leaves before the candidates that it causes: a client ignores those of unknown gateways.
        this.portal.send("gateway", "client", { type: "authorized", publicKey: machine.publicKey });
        return void machine.upsert({ peerId: other, publicKey: message.publicKey, ...this.#secrets(role) });
      case "authorized":
        machine.upsert({ peerId: other, publicKey: message.publicKey, ...this.#secrets(role) });
    }
  }

  /** Stable while both keys are, as the portal's derivation is (snownet §2.3, §4.8). */
  #secrets(role: Role) {
    const derive = (label: string) =>
      sha256(
        new TextEncoder().encode(
          `${label} ${this.client.publicKey.toHex()} ${this.gateway.publicKey.toHex()}`,
        ),
      );
    const hash = derive("ice").toHex();
    const client = { ufrag: hash.slice(0, 4), password: hash.slice(4, 26) };
    const gateway = { ufrag: hash.slice(26, 30), password: hash.slice(30, 52) };
    const [local, remote] = role === "client" ? [client, gateway] : [gateway, client];
    return { local, remote, presharedKey: derive("psk") };
  }

  #end(role: Role, kind: NatKind | undefined, options: NodeWorldOptions): End {
    const { world } = this;
    const { conditions = { latency: 10 }, families = [4] } = options;
    const number = role === "client" ? 1 : 2;
    const nat = kind && world.nat(`${role} NAT`, kind, { v4: `203.0.113.${number}` });
    const host = world.host(role).connect(nat ? nat.inside : world.internet, {
      ...(families.includes(4) ? { v4: nat ? `192.168.${number}.2` : `203.0.113.${10 * number}` } : {}),
      ...(families.includes(6) ? { v6: `2001:db8:${number}00::2` } : {}),
    }, conditions);
    const machine = this.#machine(role);
    host.bind(SOCKET_PORT, machine);
    return { host, nat, machine };
  }
}
