/** Starting and stopping the relay: a thread of its own, so that nothing the rest of the process does delays packets. */
import { EventFd } from "../../../ffi/poll.ts";
import { formatIp, parseIp } from "../../packet/address.ts";
import { Counters } from "../../packet/counters.ts";
import { startWorker } from "../../runtime/worker_source.ts";
import { DEFAULT_LIMITS, type RelayLimits } from "./allocations.ts";
import { parseRange } from "./peer_policy.ts";
import type { FromRelay, StartRelay } from "./relay_messages.ts";
import { DEFAULT_LISTEN_PORT, DEFAULT_PORT_RANGE } from "./relay_server.ts";

const STOP_TIMEOUT_MS = 900;

export interface RelayOptions {
  /** Addresses that clients and peers reach the relay at; at least one. */
  readonly addresses: { readonly v4?: string | undefined; readonly v6?: string | undefined };
  /** Local addresses to bind, where the public ones belong to a NAT or others are not ours. Default: all. */
  readonly bind?: { readonly v4?: string | undefined; readonly v6?: string | undefined };
  /** Default 3478. */
  readonly port?: number;
  /** Ports of allocations. Default 49152 to 65535. */
  readonly portRange?: readonly [lowest: number, highest: number];
  /** The secret that credentials are made of; default: 32 random bytes in lower-case hex. */
  readonly stampSecret?: string;
  /** Ranges to which the relay may send although they are refused by default: `10.0.0.0/8`. */
  readonly allowedPeers?: readonly string[];
  /** Ranges or addresses that it must not send to besides: those of the portal. */
  readonly refusedPeers?: readonly string[];
  readonly limits?: Partial<RelayLimits>;
}

export interface Relay {
  readonly stampSecret: string;
  readonly addresses: { readonly v4?: string | undefined; readonly v6?: string | undefined };
  readonly port: number;
  /** Settles when the relay has ended: undefined after {@link stop}, else why. */
  readonly done: Promise<string | undefined>;
  /** Counters by name (`relay_…`, `udp_…`); `relay_allocations` and `relay_channels` are current numbers. */
  stats(): Record<string, number>;
  /** Ends it within a second. Idempotent. */
  stop(): Promise<void>;
}

/** Starts a relay. Rejects with an Error that says what to do: bad option, port taken, no FFI. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const start = startMessage(options);
  const wake = EventFd.create();
  const counters = new Counters(start.counters);
  let names: readonly string[] = [];
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<string | undefined>();
  const worker = startWorker("relay", new URL("./relay_worker.ts", import.meta.url));
  const fail = (reason: string) => {
    started.reject(new Error(reason));
    ended.resolve(reason);
  };
  worker.onmessage = ({ data }: MessageEvent<FromRelay>) => {
    if (data.type === "started") {
      names = data.counterNames;
      started.resolve();
    } else if (data.type === "failed") fail(data.reason);
    else ended.resolve(undefined);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail(`The relay's thread died: ${event.message}. Report this.`);
  };
  worker.postMessage({ ...start, wakeFd: wake.fd } satisfies StartRelay);
  ended.promise.then(() => {
    worker.terminate();
    wake.close();
  });
  await started.promise;

  let isStopping = false;
  return {
    stampSecret: start.stampSecret,
    addresses: start.addresses,
    port: start.port,
    done: ended.promise,
    stats: () => Object.fromEntries(names.map((name, i) => [name, counters.values[i]!])),
    async stop() {
      if (!isStopping) {
        isStopping = true;
        wake.signal();
      }
      const timeout = setTimeout(() => ended.resolve(undefined), STOP_TIMEOUT_MS);
      await ended.promise;
      clearTimeout(timeout);
    },
  };
}

/** The options with their defaults. Throws an Error for what can be told to be wrong without a socket. */
function startMessage(options: RelayOptions): Omit<StartRelay, "wakeFd"> {
  const { addresses, bind = {}, port = DEFAULT_LISTEN_PORT, portRange = DEFAULT_PORT_RANGE } = options;
  if (addresses.v4 === undefined && addresses.v6 === undefined) {
    throw new Error(
      "Cannot start a relay without a public address. Give an IPv4 or an IPv6 address or both.",
    );
  }
  for (const [family, length] of [["v4", 4], ["v6", 16]] as const) {
    for (const text of [addresses[family], bind[family]]) {
      if (text === undefined || parseIp(text)?.length === length) continue;
      throw new Error(
        `Cannot use "${text}" as the relay's IP${family} address: it is none. Write it without port.`,
      );
    }
  }
  const [lowest, highest] = portRange;
  if (![port, lowest, highest].every((n) => Number.isInteger(n) && n > 0 && n < 65536) || lowest > highest) {
    throw new Error(
      `Cannot use port ${port} and range ${lowest}-${highest} for the relay: ports are 1 to 65535, lowest first.`,
    );
  }
  const { allowedPeers = [], refusedPeers = [] } = options;
  for (const range of [...allowedPeers, ...refusedPeers]) parseRange(range);
  const stampSecret = options.stampSecret ?? randomSecret();
  if (stampSecret === "") {
    throw new Error("Cannot start a relay with an empty secret. Leave it out or give one.");
  }
  const localAddresses = ownAddresses();
  return {
    addresses,
    bind,
    // Where a public address is one of this host's, peers must see relayed packets come from it.
    sources: {
      v4: bind.v4 ?? ifAmong(localAddresses, addresses.v4),
      v6: bind.v6 ?? ifAmong(localAddresses, addresses.v6),
    },
    localAddresses,
    port,
    portRange,
    stampSecret,
    allowedPeers,
    refusedPeers,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    counters: new SharedArrayBuffer(Counters.CAPACITY * 8),
  };
}

/** This host's addresses, in canonical text. */
function ownAddresses(): string[] {
  const all = Deno.networkInterfaces().map(({ address }) => parseIp(address.replace(/%.*$/, "")));
  return [...new Set(all.flatMap((bytes) => bytes ? [formatIp(bytes)] : []))];
}

function ifAmong(addresses: readonly string[], text: string | undefined): string | undefined {
  const bytes = text === undefined ? undefined : parseIp(text);
  return bytes && addresses.includes(formatIp(bytes)) ? text : undefined;
}

function randomSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
