/**
 * A TUN interface: `open("/dev/net/tun")`, `ioctl(TUNSETIFF)`, and then every read is a packet that the kernel routed
 * to the interface and every write a packet that it receives from it (Linux Documentation/networking/tuntap.rst).
 *
 * - Attached exclusively: without IFF_MULTI_QUEUE a second attach fails with EBUSY. Two processes on one TUN would
 *   each get a part of the packets.
 * - Without IFF_PERSIST: closing the descriptor, or the end of the process, removes the interface with its addresses
 *   and routes. (An interface that was made persistent before, e.g. by `ip tuntap add`, stays.)
 * - With `vnetHeader`, every packet is preceded by a 10-byte `virtio_net_hdr` in native byte order, and the kernel may
 *   hand out and takes TCP and UDP super-packets of up to 64 KiB with partial checksums, as far as granted.
 */
import { attachError, nodeError, openError, TunError } from "./errors.ts";
import { cString, type TunLibc, tunLibc } from "./libc.ts";

const DEVICE = "/dev/net/tun";
const O_RDWR = 2, O_NONBLOCK = 0o4000, O_CLOEXEC = 0o2000000;
const S_IFCHR = 0o020000;
const TUN_DEVICE_NUMBER = (10n << 8n) | 200n; // makedev(10, 200)
const ENOENT = 2, EINTR = 4, EAGAIN = 11, EEXIST = 17;

const TUNSETIFF = 0x400454can;
const TUNSETOFFLOAD = 0x400454d0n;
const IFF_TUN = 0x0001, IFF_NO_PI = 0x1000, IFF_VNET_HDR = 0x4000;
/** struct ifreq: 16 bytes of name, then a union of 24 (here: short flags). The kernel copies all of it in and out. */
const IFREQ_SIZE = 40, IFREQ_FLAGS = 16, IFNAMSIZ = 16;

/** `virtio_net_hdr`: flags u8, gso_type u8, hdr_len u16, gso_size u16, csum_start u16, csum_offset u16. */
export const VNET_HEADER_SIZE = 10;
/** The longest read: a vnet header and a super-packet. */
export const MAX_READ = VNET_HEADER_SIZE + 65535;

/** Bits of TUNSETOFFLOAD. */
export const TUN_F_CSUM = 0x01, TUN_F_TSO4 = 0x02, TUN_F_TSO6 = 0x04, TUN_F_USO4 = 0x20, TUN_F_USO6 = 0x40;
/** Everything; without UDP (Linux before 6.2); nothing. The kernel takes all the bits or none. */
const OFFLOADS = [
  TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6,
  TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6,
  0,
] as const;

export interface TunOptions {
  /** Interface name, 1 to 15 bytes; `%d` is replaced by the first free number. */
  readonly name: string;
  /** Precede packets by a `virtio_net_hdr` and ask for offloads. Default false. */
  readonly vnetHeader?: boolean;
}

export class Tun {
  readonly #libc: TunLibc;
  #closed = false;

  private constructor(
    libc: TunLibc,
    /** The descriptor, for `poll`. Non-blocking, close-on-exec. */
    readonly fd: number,
    /** The interface's name as the kernel gave it. */
    readonly name: string,
    readonly vnetHeader: boolean,
    /** Granted `TUN_F_…` bits: 0x67, 0x07 or 0. Always 0 without a vnet header. */
    readonly offloads: number,
  ) {
    this.#libc = libc;
  }

  /**
   * Creates the interface (or attaches to a persistent one). It has no address and is down: set it up with `ip` or
   * netlink. Makes `/dev/net/tun` when it is missing. Throws a {@link TunError}.
   */
  static open({ name, vnetHeader = false }: TunOptions): Tun {
    checkName(name);
    const libc = tunLibc();
    const fd = openDevice(libc);
    const request = new Uint8Array(IFREQ_SIZE);
    request.set(cString(name));
    const flags = IFF_TUN | IFF_NO_PI | (vnetHeader ? IFF_VNET_HDR : 0);
    new DataView(request.buffer).setUint16(IFREQ_FLAGS, flags, true);
    if (libc.call.ioctl_buffer(fd, TUNSETIFF, request) < 0) {
      const error = attachError(name, libc.errno[0]!);
      libc.call.close(fd);
      throw error;
    }
    const given = new TextDecoder().decode(request.subarray(0, request.indexOf(0)));
    return new Tun(libc, fd, given, vnetHeader, vnetHeader ? requestOffloads(libc, fd) : 0);
  }

  /**
   * Reads one packet (with its vnet header, if on) into `buffer`. Returns its length, or undefined when there is none
   * now. A packet that is longer than `buffer` is cut: give at least the MTU, or {@link MAX_READ} with offloads.
   */
  read(buffer: Uint8Array<ArrayBuffer>): number | undefined {
    const length = this.#libc.call.read_buffer(this.fd, buffer, BigInt(buffer.byteLength));
    return length >= 0 ? length : this.#absent("read from");
  }

  /**
   * Writes one packet (with its vnet header, if on). Returns false when the kernel's queue is full: try again when
   * the descriptor is writable. Throws when the kernel refuses the packet (e.g. the interface is down).
   */
  write(packet: Uint8Array<ArrayBuffer>): boolean {
    const length = this.#libc.call.write_buffer(this.fd, packet, BigInt(packet.byteLength));
    if (length < 0) this.#absent("write to");
    return length >= 0;
  }

  /**
   * For packet loops: reads one packet to native memory without allocation. Returns its length or `-errno`
   * (-11 = none now). `length` should be a constant, since making a bigint costs more than the call.
   * The memory must be at least `length` bytes long: nothing checks that.
   */
  readAt(pointer: Deno.PointerObject, length: bigint): number {
    const result = this.#libc.call.read(this.fd, pointer, length);
    return result >= 0 ? result : -this.#libc.errno[0]!;
  }

  /**
   * For packet loops: writes one packet gathered from `count` `struct iovec`s. Returns its length or `-errno`
   * (-11 = queue full; -22 = the kernel does not take this packet, e.g. a malformed super-packet; -5 = down).
   */
  writevAt(iovecs: Deno.PointerObject, count: number): number {
    const result = this.#libc.call.writev(this.fd, iovecs, count);
    return result >= 0 ? result : -this.#libc.errno[0]!;
  }

  /** Closes the descriptor, which removes the interface. Idempotent; nothing else may be called afterwards. */
  close(): void {
    if (!this.#closed) this.#libc.call.close(this.fd);
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Undefined when the last call found nothing to do; throws when it failed. */
  #absent(doing: string): undefined {
    const errno = this.#libc.errno[0]!;
    if (errno === EAGAIN || errno === EINTR) return undefined;
    throw new TunError(
      "failed",
      `Cannot ${doing} ${this.name}: errno ${errno}. Check that the interface is up and the packet is valid IP.`,
      errno,
    );
  }
}

function checkName(name: string): void {
  const bytes = new TextEncoder().encode(name).length;
  // The kernel's dev_valid_name: no slash, colon or white space, and neither "." nor "..".
  if (bytes === 0 || bytes >= IFNAMSIZ || /[\s/:\0]/.test(name) || name === "." || name === "..") {
    throw new TunError(
      "invalid-name",
      `Cannot create a network interface named ${JSON.stringify(name)}: ` +
        `a name has 1 to ${IFNAMSIZ - 1} bytes without slash, colon or space. Choose another name.`,
    );
  }
}

/** Opens the device node, making it first when it is missing. */
function openDevice(libc: TunLibc): number {
  const open = () => libc.call.open(cString(DEVICE), O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  let fd = open();
  if (fd < 0 && libc.errno[0] === ENOENT) {
    makeNode(libc);
    fd = open();
  }
  if (fd < 0) throw openError(libc.errno[0]!);
  return fd;
}

function makeNode({ call, errno }: TunLibc): void {
  const directory = cString("/dev/net");
  if (call.mkdir(directory, 0o751) < 0) {
    if (errno[0] !== EEXIST) throw nodeError("mkdir", errno[0]!);
  } else if (call.chmod(directory, 0o751) < 0) { // mkdir's mode went through the umask
    throw nodeError("chmod", errno[0]!);
  }
  if (call.mknod(cString(DEVICE), S_IFCHR | 0o660, TUN_DEVICE_NUMBER) < 0 && errno[0] !== EEXIST) {
    throw nodeError("mknod", errno[0]!);
  }
}

/** The best set of offloads that the kernel takes. */
function requestOffloads({ call }: TunLibc, fd: number): number {
  for (const offloads of OFFLOADS) {
    if (call.ioctl_value(fd, TUNSETOFFLOAD, BigInt(offloads)) === 0) return offloads;
  }
  return 0;
}
