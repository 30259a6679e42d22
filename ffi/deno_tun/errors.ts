/** What went wrong, for callers that react differently. */
export type TunErrorKind =
  /** Neither root nor CAP_NET_ADMIN (or no access to the device node). */
  | "not-permitted"
  /** `/dev/net/tun` is missing and could not be made, or the kernel has no TUN driver. */
  | "no-device"
  /** The interface name is empty, too long or has characters that no interface may have. */
  | "invalid-name"
  /** Another process is attached to the interface, or an interface of another kind has its name. */
  | "name-taken"
  /** Anything else. */
  | "failed";

/** "Cannot <do>: <reason>. <What to do>." */
export class TunError extends Error {
  /**
   * @param kind For the program.
   * @param message For people.
   * @param errno Linux error number of the failed call; 0 when none failed.
   */
  constructor(readonly kind: TunErrorKind, message: string, readonly errno = 0) {
    super(message);
    this.name = "TunError";
  }
}

const EPERM = 1, ENOENT = 2, ENXIO = 6, EACCES = 13, EBUSY = 16, ENODEV = 19, EINVAL = 22;
const DEVICE = "/dev/net/tun";

/** The error for a failed `open("/dev/net/tun")`. */
export function openError(errno: number): TunError {
  if (errno === EPERM || errno === EACCES) {
    return new TunError(
      "not-permitted",
      `Cannot open ${DEVICE}: permission denied. Run as root, or make the device readable and writable for this user.`,
      errno,
    );
  }
  if (errno === ENOENT || errno === ENODEV || errno === ENXIO) {
    return new TunError(
      "no-device",
      `Cannot open ${DEVICE}: the kernel has no TUN driver. ` +
        "Load it with `modprobe tun`; in a container pass --device=/dev/net/tun.",
      errno,
    );
  }
  return new TunError("failed", `Cannot open ${DEVICE}: errno ${errno}. Check the device.`, errno);
}

/** The error for a `/dev/net/tun` that is missing and could not be made (`step` failed). */
export function nodeError(step: string, errno: number): TunError {
  return new TunError(
    errno === EPERM || errno === EACCES ? "not-permitted" : "no-device",
    `Cannot make ${DEVICE}: ${step} gave errno ${errno}. ` +
      "Make it as root with `mkdir -p /dev/net && mknod /dev/net/tun c 10 200`; " +
      "in a container pass --device=/dev/net/tun.",
    errno,
  );
}

/** The error for a failed `ioctl(TUNSETIFF)`. */
export function attachError(name: string, errno: number): TunError {
  if (errno === EPERM || errno === EACCES) {
    return new TunError(
      "not-permitted",
      `Cannot create the network interface ${name}: not permitted. ` +
        "Run as root or with CAP_NET_ADMIN (in a container: --cap-add=NET_ADMIN).",
      errno,
    );
  }
  if (errno === EBUSY) {
    return new TunError(
      "name-taken",
      `Cannot create the network interface ${name}: another process is using it. ` +
        "Stop that process or choose another name.",
      errno,
    );
  }
  if (errno === EINVAL) {
    return new TunError(
      "name-taken",
      `Cannot create the network interface ${name}: an interface with this name exists that is no TUN of this kind. ` +
        "Remove it with `ip link delete` or choose another name.",
      errno,
    );
  }
  return new TunError(
    "failed",
    `Cannot create the network interface ${name}: errno ${errno}. Report this.`,
    errno,
  );
}
