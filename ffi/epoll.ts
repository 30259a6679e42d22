/**
 * Waiting on many descriptors: `epoll(7)`, level-triggered. For a relay with a socket or two per client, where a
 * `poll` over all of them would cost more than the packets; a handful of descriptors is better off with `poll.ts`.
 */
import { EINTR, errno, SystemError } from "./errno.ts";
import { type Libc, libc } from "./libc.ts";

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;

/** struct epoll_event { u32 events; u64 data }: packed on x86-64 only. */
export const EPOLL_EVENT = Deno.build.arch === "x86_64"
  ? { size: 12, events: 0, data: 4 } as const
  : { size: 16, events: 0, data: 8 } as const;

export class Epoll {
  readonly #libc: Libc = libc();
  readonly #fd: number;
  readonly #capacity: number;
  readonly #events: Uint32Array<ArrayBuffer>;
  readonly #pointer: Deno.PointerObject;
  readonly #change = new Uint32Array(EPOLL_EVENT.size / 4);

  /** @param capacity Descriptors reported by one wait. */
  constructor(capacity = 256) {
    this.#capacity = capacity;
    this.#events = new Uint32Array(capacity * EPOLL_EVENT.size / 4);
    this.#pointer = Deno.UnsafePointer.of(this.#events)!;
    this.#fd = this.#libc.epoll_create1(EPOLL_CLOEXEC);
    if (this.#fd < 0) {
      throw new SystemError("make an epoll set", "epoll_create1", errno(), "Raise the limit of open files.");
    }
  }

  /** Watches `fd` for reading; `token` (u32) names it in the results. */
  add(fd: number, token: number): void {
    this.#change[0] = EPOLLIN;
    this.#change[EPOLL_EVENT.data / 4] = token;
    if (this.#libc.epoll_ctl(this.#fd, EPOLL_CTL_ADD, fd, this.#change) !== 0) {
      throw new SystemError("watch a descriptor", "epoll_ctl", errno(), "Report this.");
    }
  }

  /** Stops watching `fd`; not needed before closing it. */
  remove(fd: number): void {
    this.#libc.epoll_ctl(this.#fd, EPOLL_CTL_DEL, fd, this.#change);
  }

  /**
   * Blocks until a descriptor is ready or `timeoutMs` has passed (fractions round up; undefined = for ever; <= 0 =
   * only look). How many are ready, to be read by {@link tokenOf}; 0 also when a signal interrupted.
   */
  wait(timeoutMs: number | undefined): number {
    const timeout = timeoutMs === undefined
      ? -1
      : timeoutMs <= 0
      ? 0
      : Math.min(0x7fffffff, Math.ceil(timeoutMs));
    const ready = this.#libc.epoll_wait(this.#fd, this.#pointer, this.#capacity, timeout);
    if (ready >= 0) return ready;
    const error = errno();
    if (error === EINTR) return 0;
    throw new SystemError("wait for packets", "epoll_wait", error, "Report this.");
  }

  /** Token of the `i`th ready descriptor. */
  tokenOf(i: number): number {
    return this.#events[(i * EPOLL_EVENT.size + EPOLL_EVENT.data) / 4]!;
  }

  close(): void {
    this.#libc.close(this.#fd);
  }
}
