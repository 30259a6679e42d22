/**
 * The numbers and labels of WireGuard, with the names of the paper ("WireGuard: Next Generation Kernel Network
 * Tunnel", §5 and §6), and the timing profile, which a caller may replace as a whole.
 */

/** Noise protocol name, the first thing hashed into every handshake. */
export const CONSTRUCTION = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
export const IDENTIFIER = "WireGuard v1 zx2c4 Jason@zx2c4.com";
export const LABEL_MAC1 = "mac1----";
export const LABEL_COOKIE = "cookie--";

/** REKEY_AFTER_MESSAGES = 2^60: the high word of the counter from which the initiator makes a new session. */
export const REKEY_AFTER_MESSAGES_HIGH = 0x10000000;
/** REJECT_AFTER_MESSAGES = 2^64 - 2^13 - 1: no counter from here on is sent or accepted. Two u32 words. */
export const REJECT_AFTER_MESSAGES_HIGH = 0xffffffff;
export const REJECT_AFTER_MESSAGES_LOW = 0xffffdfff;

/** A cookie, and the secret behind it, is good for this long (milliseconds). */
export const COOKIE_REFRESH_TIME = 120_000;

/** Bytes. */
export const KEY_LENGTH = 32;
export const TAG_LENGTH = 16;
export const MAC_LENGTH = 16;
export const TIMESTAMP_LENGTH = 12;

/** Timers of one tunnel, in milliseconds. */
export interface WireGuardTimings {
  /** The initiator of a session replaces it from this age on, once it has sent data. */
  readonly rekeyAfterTime: number;
  /** A session is removed at this age; three times as long without any new session expires the tunnel. */
  readonly rejectAfterTime: number;
  /** An unanswered initiation is repeated after this. */
  readonly rekeyTimeout: number;
  /** Unanswered initiations expire the tunnel this long after the first of them. */
  readonly rekeyAttemptTime: number;
  /** Data received and nothing sent for this long: an empty packet is sent. */
  readonly keepaliveTimeout: number;
  /** Every initiation that a timer decides is delayed by a uniform random time up to this. */
  readonly jitter: number;
  /** An empty packet at least this often, whatever happens; 0 = never. */
  readonly persistentKeepalive: number;
}

/** The paper's values, but for the give-up time: 20 s, just above a client's ICE timeout (spec snownet §6.1). */
export const DEFAULT_TIMINGS: WireGuardTimings = {
  rekeyAfterTime: 120_000,
  rejectAfterTime: 180_000,
  rekeyTimeout: 5_000,
  rekeyAttemptTime: 20_000,
  keepaliveTimeout: 10_000,
  jitter: 333,
  persistentKeepalive: 0,
};
