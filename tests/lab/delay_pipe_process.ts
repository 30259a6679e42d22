/**
 * `delay_pipe_process.ts <host> <device> <host> <device> <delay ms> <jitter ms> <loss 0..1>`: see `delay_pipe.ts`.
 *
 *     host a: device ──read──► [queue, due times ascending] ──write──► host b: device      and the same back
 *
 * `setns` moves only the calling thread, and Deno makes synchronous foreign calls on the thread of the script: the
 * devices are made in their hosts one after the other. A poll that waits for the next due packet rounds up to whole
 * milliseconds; what is due within half of one leaves now, so that the delay is right on average.
 */
import { Tun } from "../../ffi/deno_tun/mod.ts";
import { Poller } from "../../ffi/poll.ts";

const CLONE_NEWNET = 0x40000000;
const MTU = 1500;
/** Packets on the way in one direction; more are lost, as in a router's queue. */
const MAX_QUEUED = 16_384;
const EARLY_MS = 0.5;
const BATCH = 64;

const system = Deno.dlopen("libc.so.6", {
  setns: { parameters: ["i32", "i32"], result: "i32" },
  open: {
    parameters: ["buffer", "i32", "i32"],
    result: "i32",
  },
}).symbols;

function openIn(host: string, name: string): Tun {
  const namespace = system.open(new TextEncoder().encode(`/run/netns/${host}\0`), 0, 0);
  if (namespace < 0 || system.setns(namespace, CLONE_NEWNET) !== 0) {
    throw new Error(`Cannot enter host ${host}.`);
  }
  return Tun.open({ name });
}

class Direction {
  readonly #packets: Uint8Array<ArrayBuffer>[] = [];
  readonly #due: number[] = [];
  #head = 0;
  #lastDue = 0;
  readonly #buffer = new Uint8Array(MTU);

  constructor(readonly from: Tun, readonly to: Tun) {}

  get due(): number | undefined {
    return this.#due[this.#head];
  }

  take(delay: number, jitter: number, loss: number): void {
    for (let i = 0; i < BATCH; i++) {
      const length = this.from.read(this.#buffer);
      if (length === undefined) return;
      if (Math.random() < loss || this.#due.length - this.#head >= MAX_QUEUED) continue;
      const at = performance.now() + delay + (2 * Math.random() - 1) * jitter;
      this.#lastDue = Math.max(this.#lastDue, at);
      this.#due.push(this.#lastDue);
      this.#packets.push(this.#buffer.slice(0, length));
    }
  }

  give(now: number): void {
    while (this.#head < this.#due.length && this.#due[this.#head]! <= now + EARLY_MS) {
      try {
        this.to.write(this.#packets[this.#head]!);
      } catch {
        // The device at the other end is down: the cable is pulled.
      }
      this.#head++;
    }
    if (this.#head < this.#due.length && this.#head < 1024) return;
    this.#packets.splice(0, this.#head);
    this.#due.splice(0, this.#head);
    this.#head = 0;
  }
}

const [hostA, deviceA, hostB, deviceB, ...numbers] = Deno.args;
const [delay, jitter, loss] = numbers.map(Number) as [number, number, number];
const a = openIn(hostA!, deviceA!), b = openIn(hostB!, deviceB!);
const directions = [new Direction(a, b), new Direction(b, a)];
const poller = new Poller([a.fd, b.fd]);
console.log("ready");
// The script never yields: nothing else runs in this process, and SIGTERM ends it.
for (;;) {
  const now = performance.now();
  const due = Math.min(...directions.map((direction) => direction.due ?? Infinity));
  poller.wait(due === Infinity ? undefined : due - EARLY_MS - now);
  directions.forEach((direction, i) => {
    if (poller.readable(i)) direction.take(delay, jitter, loss);
    direction.give(performance.now());
  });
}
