/**
 * Waiting: `poll(2)` over a fixed set of descriptors, and the eventfd by which another thread ends the wait.
 *
 * The data thread blocks in {@link Poller.wait}; a blocked FFI call sees neither messages nor `terminate()`, so every
 * other thread wakes it through an {@link EventFd} in the set (spec dataplane §4).
 */
import { EAGAIN, EINTR, errno, SystemError } from "./errno.ts";
import { type Libc, libc, O_CLOEXEC, O_NONBLOCK, POLLERR, POLLHUP, POLLIN, POLLNVAL } from "./libc.ts";
import { POLLFD } from "./structs.ts";

export class Poller {
  readonly #libc: Libc = libc();
  readonly #records: Int16Array<ArrayBuffer>;
  readonly #pointer: Deno.PointerObject;
  readonly #count: bigint;

  /** @param fds Descriptors, watched for reading; negative ones are ignored. Named by their index from here on. */
  constructor(fds: readonly number[]) {
    const buffer = new ArrayBuffer(Math.max(1, fds.length) * POLLFD.size);
    this.#records = new Int16Array(buffer);
    this.#count = BigInt(fds.length);
    const view = new DataView(buffer);
    fds.forEach((fd, i) => {
      view.setInt32(i * POLLFD.size + POLLFD.fd, fd, true);
      view.setInt16(i * POLLFD.size + POLLFD.events, POLLIN, true);
    });
    this.#pointer = Deno.UnsafePointer.of(this.#records)!;
  }

  /** Changes what descriptor `index` is watched for: POLLIN, POLLOUT, both, or 0 for errors only. */
  watch(index: number, events: number): void {
    this.#records[index * 4 + 2] = events;
  }

  /**
   * Blocks until a descriptor is ready or `timeoutMs` has passed (fractions round up; undefined = for ever; <= 0 =
   * only look). Returns how many are ready: 0 after the time, or early when a signal interrupted the wait.
   */
  wait(timeoutMs: number | undefined): number {
    const timeout = timeoutMs === undefined
      ? -1
      : timeoutMs <= 0
      ? 0
      : Math.min(0x7fffffff, Math.ceil(timeoutMs));
    const ready = this.#libc.poll(this.#pointer, this.#count, timeout);
    if (ready >= 0) return ready;
    const error = errno();
    if (error === EINTR || error === EAGAIN) {
      for (let i = 3; i < this.#records.length; i += 4) this.#records[i] = 0;
      return 0;
    }
    throw new SystemError("wait for packets", "poll", error, "Report this.");
  }

  /** What the last wait found for descriptor `index`: POLL* bits, 0 = nothing. */
  events(index: number): number {
    return this.#records[index * 4 + 3]!;
  }

  /** True when descriptor `index` can be read, or is in error, which a read then reports. */
  readable(index: number): boolean {
    return (this.events(index) & (POLLIN | POLLERR | POLLHUP | POLLNVAL)) !== 0;
  }
}

/** An eventfd: a counter that a poll sees as readable while it is not zero. */
export class EventFd {
  readonly #libc: Libc = libc();
  readonly #value = new BigUint64Array(1);
  readonly #pointer = Deno.UnsafePointer.of(this.#value)!;

  private constructor(readonly fd: number) {}

  static create(): EventFd {
    const fd = libc().eventfd(0, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
      throw new SystemError("make an eventfd", "eventfd", errno(), "Raise the limit of open files.");
    }
    return new EventFd(fd);
  }

  /** The same eventfd in another thread, by its number. One side closes it, when neither uses it any more. */
  static attach(fd: number): EventFd {
    return new EventFd(fd);
  }

  /** Makes the descriptor readable. Never blocks; a full counter is already readable. */
  signal(): void {
    this.#value[0] = 1n;
    this.#libc.write(this.fd, this.#pointer, 8n);
  }

  /** Makes it unreadable again; true when it had been signalled. */
  drain(): boolean {
    return this.#libc.read(this.fd, this.#pointer, 8n) === 8;
  }

  close(): void {
    this.#libc.close(this.fd);
  }
}
