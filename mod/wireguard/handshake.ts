/**
 * The handshake, Noise IKpsk2 (paper §5.4.2 and §5.4.3), as functions from state and message to state and message.
 *
 *     initiator                                       responder
 *     createInitiation ── e, es, s, ss, {timestamp} ──► openInitiation (who is it?) → openTimestamp (is it fresh?)
 *     consumeResponse ◄── e, ee, se, psk, {} ───────── createResponse
 *
 * An initiation is opened in two steps, because the receiver learns the sender only from the first one: the static
 * key leads to the tunnel, whose precomputed static-static secret opens the timestamp.
 * MACs are not handled here: they are checked before any of this (see limiter) and stamped after it (see cookie).
 */
import type { Dh, RandomBytes, Sealer } from "../crypto/types.ts";
import { KEY_LENGTH } from "./constants.ts";
import {
  INITIATION,
  INITIATION_LENGTH,
  MessageType,
  readU32,
  RESPONSE,
  RESPONSE_LENGTH,
  writeU32,
} from "./messages.ts";
import { type Recipient, SymmetricState } from "./noise.ts";

const EMPTY = new Uint8Array(0);

/** Our long-term X25519 pair; 32 bytes each. */
export interface StaticKeys {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** What both sides of one tunnel know before they talk. */
export interface HandshakeContext {
  readonly keys: StaticKeys;
  readonly peer: Recipient;
  readonly self: Recipient;
  /** DH(own static, peer's static). */
  readonly staticSecret: Uint8Array;
  readonly presharedKey: Uint8Array;
  readonly dh: Dh;
  readonly sealer: Sealer;
  readonly random: RandomBytes;
}

/** Result of a handshake. The keys are 32 bytes; whoever takes them wipes them. */
export interface TransportKeys {
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The index that the peer wants to see on everything we send. */
  readonly remoteIndex: number;
}

/** An initiation of ours that waits for its response. */
export class PendingHandshake {
  constructor(
    /** Our index in it. */
    readonly index: number,
    readonly sentAt: number,
    readonly ephemeralPrivate: Uint8Array,
    readonly state: SymmetricState,
  ) {}

  wipe(): void {
    this.ephemeralPrivate.fill(0);
    this.state.wipe();
  }
}

/** An initiation whose sender is known but not yet proven. */
export interface OpenedInitiation {
  readonly peerPublicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly state: SymmetricState;
}

/** An initiation without MACs (both left zero), and the state that its response will be matched with. */
export function createInitiation(
  context: HandshakeContext,
  index: number,
  timestamp: Uint8Array,
  now: number,
): { message: Uint8Array; pending: PendingHandshake } {
  const { keys, peer, dh, sealer } = context;
  const ephemeralPrivate = context.random(KEY_LENGTH);
  const ephemeral = dh.publicKey(ephemeralPrivate);
  const message = new Uint8Array(INITIATION_LENGTH);
  writeU32(message, 0, MessageType.Initiation);
  writeU32(message, INITIATION.sender, index);
  message.set(ephemeral, INITIATION.ephemeral);

  const state = SymmetricState.start(peer, sealer);
  state.mixKey(ephemeral);
  state.mixHash(ephemeral);
  // The peer's static key is no low-order point (the tunnel checked), so that this secret exists.
  const secret = dh.sharedSecret(ephemeralPrivate, peer.publicKey)!;
  message.set(state.sealAndHash(state.mixKeyForMessage(secret), keys.publicKey), INITIATION.static);
  message.set(
    state.sealAndHash(state.mixKeyForMessage(context.staticSecret), timestamp),
    INITIATION.timestamp,
  );
  secret.fill(0);
  return { message, pending: new PendingHandshake(index, now, ephemeralPrivate, state) };
}

/** Decrypts the static key in an initiation to us; undefined when it was not made for our key. One DH. */
export function openInitiation(
  keys: StaticKeys,
  self: Recipient,
  dh: Dh,
  sealer: Sealer,
  message: Uint8Array,
): OpenedInitiation | undefined {
  const ephemeral = message.subarray(INITIATION.ephemeral, INITIATION.static);
  const secret = dh.sharedSecret(keys.privateKey, ephemeral);
  if (secret === undefined) return undefined;
  const state = SymmetricState.start(self, sealer);
  state.mixKey(ephemeral);
  state.mixHash(ephemeral);
  const peerPublicKey = state.openAndHash(
    state.mixKeyForMessage(secret),
    message.subarray(INITIATION.static, INITIATION.timestamp),
  );
  secret.fill(0);
  if (peerPublicKey === undefined) {
    state.wipe();
    return undefined;
  }
  return { peerPublicKey, message, state };
}

/**
 * Decrypts the timestamp, which proves that the sender owns the static key; undefined when it does not.
 * Advances `opened`: call it once.
 */
export function openTimestamp(context: HandshakeContext, opened: OpenedInitiation): Uint8Array | undefined {
  return opened.state.openAndHash(
    opened.state.mixKeyForMessage(context.staticSecret),
    opened.message.subarray(INITIATION.timestamp, INITIATION.mac1),
  );
}

/**
 * A response without MACs to an initiation whose timestamp was opened, and the keys of the session that it makes.
 * Undefined when the initiator's ephemeral key is a low-order point. Uses `opened` up.
 */
export function createResponse(
  context: HandshakeContext,
  opened: OpenedInitiation,
  index: number,
): { message: Uint8Array; transport: TransportKeys } | undefined {
  const { dh, peer } = context;
  const { state } = opened;
  const remoteIndex = readU32(opened.message, INITIATION.sender);
  const ephemeralPrivate = context.random(KEY_LENGTH);
  const ephemeral = dh.publicKey(ephemeralPrivate);
  const message = new Uint8Array(RESPONSE_LENGTH);
  writeU32(message, 0, MessageType.Response);
  writeU32(message, RESPONSE.sender, index);
  writeU32(message, RESPONSE.receiver, remoteIndex);
  message.set(ephemeral, RESPONSE.ephemeral);

  state.mixKey(ephemeral);
  state.mixHash(ephemeral);
  const remoteEphemeral = opened.message.subarray(INITIATION.ephemeral, INITIATION.static);
  const mixed = mixSecret(state, dh, ephemeralPrivate, remoteEphemeral) &&
    mixSecret(state, dh, ephemeralPrivate, peer.publicKey);
  ephemeralPrivate.fill(0);
  if (!mixed) {
    state.wipe();
    return undefined;
  }
  message.set(state.sealAndHash(state.mixPresharedKey(context.presharedKey), EMPTY), RESPONSE.empty);
  const [receiveKey, sendKey] = state.split();
  return { message, transport: { sendKey, receiveKey, remoteIndex } };
}

/**
 * The session keys, or undefined when the response is not authentic. `pending` is left as it was, so that a forged
 * response does not cost us the real one.
 */
export function consumeResponse(
  context: HandshakeContext,
  pending: PendingHandshake,
  message: Uint8Array,
): TransportKeys | undefined {
  const { dh, keys } = context;
  const state = pending.state.clone();
  const ephemeral = message.subarray(RESPONSE.ephemeral, RESPONSE.empty);
  state.mixKey(ephemeral);
  state.mixHash(ephemeral);
  const opened = mixSecret(state, dh, pending.ephemeralPrivate, ephemeral) &&
    mixSecret(state, dh, keys.privateKey, ephemeral) &&
    state.openAndHash(
        state.mixPresharedKey(context.presharedKey),
        message.subarray(RESPONSE.empty, RESPONSE.mac1),
      ) !== undefined;
  if (!opened) {
    state.wipe();
    return undefined;
  }
  const [sendKey, receiveKey] = state.split();
  return { sendKey, receiveKey, remoteIndex: readU32(message, RESPONSE.sender) };
}

/** False when the other key is a low-order point. */
function mixSecret(state: SymmetricState, dh: Dh, privateKey: Uint8Array, publicKey: Uint8Array): boolean {
  const secret = dh.sharedSecret(privateKey, publicKey);
  if (secret === undefined) return false;
  state.mixKey(secret);
  secret.fill(0);
  return true;
}
