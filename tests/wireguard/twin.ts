/**
 * WireGuard's handshake written a second time, straight from the paper's formulas (§5.4) over noble's primitives
 * and nothing of ours: the independent twin that the real one is compared with.
 */
import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { blake2s } from "@noble/hashes/blake2.js";
import { hmac } from "@noble/hashes/hmac.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";

type Bytes = Uint8Array;
const HASH = (...parts: Bytes[]) => blake2s(concatBytes(...parts));
const MAC = (key: Bytes, data: Bytes) => blake2s(data, { key, dkLen: 16 });
const HMAC = (key: Bytes, ...parts: Bytes[]) => hmac(blake2s, key, concatBytes(...parts));
const KDF = (n: number, key: Bytes, input: Bytes): Bytes[] => {
  const t0 = HMAC(key, input);
  const out: Bytes[] = [];
  for (let i = 1; i <= n; i++) out.push(HMAC(t0, ...out.slice(-1), Uint8Array.of(i)));
  return out;
};
const AEAD = (key: Bytes, ad: Bytes) => chacha20poly1305(key, new Uint8Array(12), ad);
const DH = (priv: Bytes, pub: Bytes) => x25519.getSharedSecret(priv, pub);
const DH_PUBKEY = (priv: Bytes) => x25519.getPublicKey(priv);
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
const read32 = (bytes: Bytes, at: number) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
const ε = new Uint8Array(0);

const C0 = HASH(utf8ToBytes("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"));
const H0 = HASH(C0, utf8ToBytes("WireGuard v1 zx2c4 Jason@zx2c4.com"));
const mac1Of = (recipientPublic: Bytes, msgα: Bytes) =>
  MAC(HASH(utf8ToBytes("mac1----"), recipientPublic), msgα);

function withMacs(recipientPublic: Bytes, body: Bytes, cookie: Bytes | undefined): Bytes {
  const msgβ = concatBytes(body, mac1Of(recipientPublic, body));
  return concatBytes(msgβ, cookie ? MAC(cookie, msgβ) : new Uint8Array(16));
}

export interface TwinKeys {
  readonly send: Bytes;
  readonly receive: Bytes;
  readonly remoteIndex: number;
}

export interface TwinInitiation {
  readonly message: Bytes;
  /** The transport keys out of the response; throws when it is not authentic. */
  finish(response: Bytes): TwinKeys;
}

export function twinInitiate(input: {
  staticPrivate: Bytes;
  peerPublic: Bytes;
  psk: Bytes;
  ephemeralPrivate: Bytes;
  timestamp: Bytes;
  index: number;
  cookie?: Bytes;
}): TwinInitiation {
  const { staticPrivate, peerPublic, psk, ephemeralPrivate, timestamp, index } = input;
  let C: Bytes = C0, H: Bytes = HASH(H0, peerPublic), κ: Bytes;
  const E = DH_PUBKEY(ephemeralPrivate);
  [C] = KDF(1, C, E) as [Bytes];
  H = HASH(H, E);
  [C, κ] = KDF(2, C, DH(ephemeralPrivate, peerPublic)) as [Bytes, Bytes];
  const msgStatic = AEAD(κ, H).encrypt(DH_PUBKEY(staticPrivate));
  H = HASH(H, msgStatic);
  [C, κ] = KDF(2, C, DH(staticPrivate, peerPublic)) as [Bytes, Bytes];
  const msgTimestamp = AEAD(κ, H).encrypt(timestamp);
  H = HASH(H, msgTimestamp);
  const body = concatBytes(u32(1), u32(index), E, msgStatic, msgTimestamp);
  return {
    message: withMacs(peerPublic, body, input.cookie),
    finish(response) {
      const Er = response.subarray(12, 44);
      if (read32(response, 8) !== index) throw new Error("response to another initiation");
      [C] = KDF(1, C, Er) as [Bytes];
      H = HASH(H, Er);
      [C] = KDF(1, C, DH(ephemeralPrivate, Er)) as [Bytes];
      [C] = KDF(1, C, DH(staticPrivate, Er)) as [Bytes];
      let τ: Bytes;
      [C, τ, κ] = KDF(3, C, psk) as [Bytes, Bytes, Bytes];
      H = HASH(H, τ);
      AEAD(κ, H).decrypt(response.subarray(44, 60));
      const [send, receive] = KDF(2, C, ε) as [Bytes, Bytes];
      return { send, receive, remoteIndex: read32(response, 4) };
    },
  };
}

export function twinRespond(initiation: Bytes, input: {
  staticPrivate: Bytes;
  psk: Bytes;
  ephemeralPrivate: Bytes;
  index: number;
}): { message: Bytes; keys: TwinKeys; peerPublic: Bytes; timestamp: Bytes } {
  const { staticPrivate, psk, ephemeralPrivate, index } = input;
  const S = DH_PUBKEY(staticPrivate);
  let C: Bytes = C0, H: Bytes = HASH(H0, S), κ: Bytes, τ: Bytes;
  const Ei = initiation.subarray(8, 40);
  [C] = KDF(1, C, Ei) as [Bytes];
  H = HASH(H, Ei);
  [C, κ] = KDF(2, C, DH(staticPrivate, Ei)) as [Bytes, Bytes];
  const peerPublic = AEAD(κ, H).decrypt(initiation.subarray(40, 88));
  H = HASH(H, initiation.subarray(40, 88));
  [C, κ] = KDF(2, C, DH(staticPrivate, peerPublic)) as [Bytes, Bytes];
  const timestamp = AEAD(κ, H).decrypt(initiation.subarray(88, 116));
  H = HASH(H, initiation.subarray(88, 116));

  const E = DH_PUBKEY(ephemeralPrivate);
  [C] = KDF(1, C, E) as [Bytes];
  H = HASH(H, E);
  [C] = KDF(1, C, DH(ephemeralPrivate, Ei)) as [Bytes];
  [C] = KDF(1, C, DH(ephemeralPrivate, peerPublic)) as [Bytes];
  [C, τ, κ] = KDF(3, C, psk) as [Bytes, Bytes, Bytes];
  H = HASH(H, τ);
  const msgEmpty = AEAD(κ, H).encrypt(ε);
  const [receive, send] = KDF(2, C, ε) as [Bytes, Bytes];
  const remoteIndex = read32(initiation, 4);
  const message = withMacs(
    peerPublic,
    concatBytes(u32(2), u32(index), u32(remoteIndex), E, msgEmpty),
    undefined,
  );
  return { message, keys: { send, receive, remoteIndex }, peerPublic, timestamp };
}

/** The cookie in a cookie reply to `message`, which was addressed to `recipientPublic`. */
export function twinOpenCookie(reply: Bytes, recipientPublic: Bytes, message: Bytes): Bytes {
  const key = HASH(utf8ToBytes("cookie--"), recipientPublic);
  const mac1 = message.subarray(message.length - 32, message.length - 16);
  return xchacha20poly1305(key, reply.subarray(8, 32), mac1).decrypt(reply.subarray(32));
}

/** A cookie reply to `message` that carries `cookie`. */
export function twinCookieReply(message: Bytes, recipientPublic: Bytes, cookie: Bytes, nonce: Bytes): Bytes {
  const key = HASH(utf8ToBytes("cookie--"), recipientPublic);
  const mac1 = message.subarray(message.length - 32, message.length - 16);
  const sealed = xchacha20poly1305(key, nonce, mac1).encrypt(cookie);
  return concatBytes(u32(3), message.subarray(4, 8), nonce, sealed);
}

/** mac2 that `message` has to carry once its sender holds `cookie`. */
export function twinMac2(message: Bytes, cookie: Bytes): Bytes {
  return MAC(cookie, message.subarray(0, message.length - 16));
}

export function twinSeal(key: Bytes, remoteIndex: number, counter: bigint, plaintext: Bytes): Bytes {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, counter, true);
  return concatBytes(
    u32(4),
    u32(remoteIndex),
    nonce.subarray(4),
    chacha20poly1305(key, nonce).encrypt(plaintext),
  );
}

export function twinOpen(key: Bytes, message: Bytes): Bytes {
  const nonce = new Uint8Array(12);
  nonce.set(message.subarray(8, 16), 4);
  return chacha20poly1305(key, nonce).decrypt(message.subarray(16));
}
