/** Shared by the portal's tests: the identities of the specification, seeded chance, a channel on a virtual clock. */
import type { RandomBytes } from "../../mod/crypto/types.ts";
import { Channel, type ChannelEvent, type ChannelOptions } from "../../mod/portal/channel.ts";

export const CLIENT_ID = "5a3d2f80-6a52-4e0b-9e0e-0c7a4b2f1c11";
export const CLIENT_KEY = "1okqtFOB8DLqU2O92NXJU9hco3AOhnRNPgX27mqzHSk=";
export const GATEWAY_ID = "9b1f6f3c-4d0a-4b55-8f3a-71d4a2f0e922";
export const GATEWAY_KEY = "WgYLecmHR8rgzDLpUYr5fx5l2qVH+f76ydDN9Ts2fVs=";
export const SITE_ID = "e7a9c3d1-2b4f-4c6d-8a1e-5f6071829344";
export const RESOURCE_ID = "c2d5b1a4-0f5e-4a7b-93c8-1e2f3a4b5c33";
export const RELAY_ID = "0d4c6b2a-7e8f-4a1b-b2c3-d4e5f6a7b855";
export const PRESHARED_KEY = "W6lZhKrF0o+BVGTU/NBVrKhOrvfCz34lfg2vKbzuDW0=";

/** xorshift32: good enough to look random, the same every time. */
export function seededRandom(seed = 1): RandomBytes {
  let x = seed | 0 || 1;
  return (length) =>
    Uint8Array.from({ length }, () => {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      return x & 255;
    });
}

/** A channel with everything that it says, as short lines; `at` moves the clock and fires what is due on the way. */
export class ChannelWorld {
  now = 0;
  readonly lines: string[] = [];
  readonly events: ChannelEvent[] = [];
  readonly frames: { topic: string; event: string; payload: unknown; ref: number }[] = [];
  readonly channel: Channel;

  constructor(options: Partial<ChannelOptions> = {}) {
    this.channel = new Channel({
      topic: "gateway",
      random: () => new Uint8Array([128, 0, 0, 0]),
      unixNow: () => 1_753_347_600 + this.now / 1000,
      now: 0,
      ...options,
    });
    this.drain();
  }

  /** Runs until `time` (ms since the start), one due timer after the other. */
  at(time: number): this {
    for (let due; (due = this.channel.pollTimeout()) !== undefined && due <= time;) {
      this.now = Math.max(this.now, due);
      this.channel.handleTimeout(this.now);
      this.drain();
    }
    this.now = time;
    return this;
  }

  open(): this {
    this.channel.handleOpen(this.now);
    return this.drain();
  }

  refuse(status: number, body = "", retryAfter?: string): this {
    this.channel.handleRefused({ status, body, ...(retryAfter !== undefined && { retryAfter }) }, this.now);
    return this.drain();
  }

  dialError(reason = "ECONNREFUSED"): this {
    this.channel.handleDialError(reason, this.now);
    return this.drain();
  }

  closed(reason = "1006"): this {
    this.channel.handleClosed(reason, this.now);
    return this.drain();
  }

  text(text: string): this {
    this.channel.handleText(text, this.now);
    return this.drain();
  }

  frame(event: string, payload: unknown, ref: number | null = null, topic = "gateway"): this {
    return this.text(JSON.stringify({ topic, event, payload, ref }));
  }

  ok(ref: number, topic = "gateway"): this {
    return this.frame("phx_reply", { status: "ok", response: {} }, ref, topic);
  }

  error(ref: number, reason: string): this {
    return this.frame("phx_reply", { status: "error", response: { reason } }, ref);
  }

  /** Opens and joins. */
  join(): this {
    this.open();
    return this.ok(this.frames.findLast((frame) => frame.event === "phx_join")!.ref);
  }

  /** Lines since the last call. */
  take(): string[] {
    return this.lines.splice(0);
  }

  drain(): this {
    for (let event; (event = this.channel.pollEvent()) !== undefined;) {
      this.events.push(event);
      this.lines.push(`${this.now} ${describe(event)}`);
    }
    for (let text; (text = this.channel.pollTransmit()) !== undefined;) {
      const frame = JSON.parse(text);
      this.frames.push(frame);
      this.lines.push(`${this.now} → ${frame.topic} ${frame.event} ${frame.ref}`);
    }
    return this;
  }
}

function describe(event: ChannelEvent): string {
  switch (event.type) {
    case "dial":
      return `dial ${event.attempt}`;
    case "hangup":
      return `hangup ${event.code}`;
    case "down":
      return `down ${event.retryIn}: ${event.reason}`;
    case "message":
      return `message ${event.event}`;
    case "rejected":
      return `rejected ${event.event}: ${event.reason}`;
    case "ignored":
      return `ignored ${event.reason}`;
    case "failed":
      return `failed ${event.error.kind}`;
    default:
      return event.type;
  }
}
