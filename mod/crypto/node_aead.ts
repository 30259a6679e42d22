/**
 * ChaCha20-Poly1305 by node:crypto, whose cipher objects live for one message: 5-6 µs for a full packet, most of it
 * setting up. For hosts without libcrypto.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { Slab } from "../packet/slab.ts";
import { MessageAead, type MessageCipher } from "./message_aead.ts";
import { TAG_LENGTH } from "./nonce.ts";

const ALGORITHM = "chacha20-poly1305";
const OPTIONS = { authTagLength: TAG_LENGTH };

export class NodeAead extends MessageAead {
  constructor(slab: Slab) {
    super("node", slab, CIPHER);
  }
}

const CIPHER: MessageCipher = {
  seal(key, nonce, plaintext) {
    const cipher = createCipheriv(ALGORITHM, key, nonce, OPTIONS);
    const ciphertext = cipher.update(plaintext);
    cipher.final();
    const sealed = new Uint8Array(ciphertext.length + TAG_LENGTH);
    sealed.set(ciphertext);
    sealed.set(cipher.getAuthTag(), ciphertext.length);
    return sealed;
  },
  open(key, nonce, sealed) {
    const end = sealed.length - TAG_LENGTH;
    const decipher = createDecipheriv(ALGORITHM, key, nonce, OPTIONS);
    decipher.setAuthTag(sealed.subarray(end));
    const plaintext = decipher.update(sealed.subarray(0, end));
    try {
      decipher.final();
    } catch {
      return undefined; // the only way in which it says "invalid tag"
    }
    return plaintext;
  },
};
