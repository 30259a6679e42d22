/** Whole gateway and client cores as machines: what a data thread does around them, without threads and kernels. */
import { Client, type ClientOutput } from "../../mod/embedded/client/client.ts";
import { Gateway, type GatewayOutput } from "../../mod/gateway/mod.ts";
import { NobleAead } from "../../mod/crypto/mod.ts";
import { Policy } from "../../mod/policy/mod.ts";
import { UNIX_NOW } from "../embedded/relay_harness.ts";
import { End } from "../gateway/end.ts";
import type { Datagram } from "./datagram.ts";
import { KernelScreen } from "./kernel_screen.ts";
import type { Machine, Outgoing } from "./machine.ts";
import { Random } from "./random.ts";

export interface CoreMachineOptions {
  readonly seed: number;
  /** Virtual time. */
  readonly now: () => number;
  /** Packets that are written to TUN; may answer by `fromTun`. */
  readonly onPacket: (packet: Uint8Array) => void;
}

/** What the two cores have in common. */
type Core<Output> = Pick<Gateway, "path" | "handleTimeout" | "pollTimeout" | "pollTransmit" | "drain"> & {
  pollOutput(): Output | undefined;
};

abstract class CoreMachine<Output> implements Machine {
  readonly end: End;
  readonly now: () => number;
  readonly #kernel: KernelScreen;
  readonly #onPacket: (packet: Uint8Array) => void;
  readonly #outgoing: Outgoing[] = [];

  constructor(role: "gateway" | "client", { seed, now, onPacket }: CoreMachineOptions) {
    this.end = new End(role, seed, now, (slab) => new NobleAead(slab));
    this.now = now;
    const random = new Random(seed);
    this.#kernel = new KernelScreen(this.end.node.screening, () => random.fraction());
    this.#onPacket = onPacket;
  }

  protected abstract readonly core: Core<Output>;
  protected abstract handleOutput(output: Output): void;

  get publicKey(): Uint8Array {
    return this.end.publicKey;
  }

  /** A packet that the kernel routes into the tunnel. */
  fromTun(packet: Uint8Array): void {
    this.core.path.handleTunPacket(...this.end.placePacket(packet), this.now());
    this.drain();
  }

  handleDatagram(datagram: Datagram, now: number): void {
    if (!this.#kernel.passes(datagram)) return;
    const { source, destination, payload, ecn } = datagram;
    const [offset, length, from, local] = this.end.place({ src: source, dst: destination, payload });
    this.core.path.handleDatagrams(offset, length, length, ecn, from, local, now);
    this.drain();
  }

  handleTimeout(now: number): void {
    this.core.handleTimeout(now);
    this.drain();
  }

  pollTimeout(): number | undefined {
    return this.core.pollTimeout();
  }

  pollTransmit(): Outgoing | undefined {
    return this.#outgoing.shift();
  }

  /** What follows a batch: events, packets, datagrams. After everything that is done to the core directly. */
  drain(): void {
    this.core.drain(this.now());
    for (let output = this.core.pollOutput(); output; output = this.core.pollOutput()) {
      this.handleOutput(output);
    }
    for (let t = this.core.pollTransmit(); t; t = this.core.pollTransmit()) {
      this.end.transmits.pushDatagram(t);
    }
    for (const { src, ...datagram } of this.end.takeDatagrams()) {
      this.#outgoing.push(src ? { ...datagram, src } : datagram);
    }
    for (const packet of this.end.takePackets()) this.#onPacket(packet);
  }
}

export class GatewayMachine extends CoreMachine<GatewayOutput> {
  readonly policy: Policy;
  readonly core: Gateway;
  readonly outputs: GatewayOutput[] = [];

  constructor(options: CoreMachineOptions, readonly onOutput: (output: GatewayOutput) => void) {
    super("gateway", options);
    this.policy = new Policy({
      slab: this.end.slab,
      counters: this.end.counters,
      unixNow: () => UNIX_NOW * 1_000 + this.now(),
      seed: options.seed,
    });
    this.core = new Gateway({ ...this.end, policy: this.policy });
  }

  protected handleOutput(output: GatewayOutput): void {
    this.outputs.push(output);
    this.onOutput(output);
  }
}

export class ClientMachine extends CoreMachine<ClientOutput> {
  readonly core: Client;
  readonly outputs: ClientOutput[] = [];

  constructor(options: CoreMachineOptions, readonly onOutput: (output: ClientOutput) => void) {
    super("client", options);
    this.core = new Client(this.end);
  }

  protected handleOutput(output: ClientOutput): void {
    this.outputs.push(output);
    this.onOutput(output);
  }
}
