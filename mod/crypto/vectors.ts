/**
 * Known answers for the start-up self-test.
 *
 * The AEAD messages are those of RFC 8439 whose nonces have WireGuard's form (four zero bytes first). Their
 * ciphertext is the RFC's own; the tag is the one without additional data, which WireGuard never has.
 */

/** Bytes of hexadecimal text. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export interface AeadVector {
  readonly name: string;
  readonly key: Uint8Array;
  readonly counterLow: number;
  readonly counterHigh: number;
  readonly plaintext: Uint8Array;
  /** Ciphertext and tag. */
  readonly sealed: Uint8Array;
}

const utf8 = (text: string) => new TextEncoder().encode(text);

export const AEAD_VECTORS: readonly AeadVector[] = [
  {
    name: "RFC 8439 §2.4.2",
    key: fromHex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
    counterLow: 0x4a000000,
    counterHigh: 0,
    plaintext: utf8(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, " +
        "sunscreen would be it.",
    ),
    sealed: fromHex(
      "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b357" +
        "1639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736" +
        "5af90bbf74a35be6b40b8eedf2785e42874d" + "81db63fcb189a03121ae0ac72a3f1f36",
    ),
  },
  {
    name: "RFC 8439 A.5",
    key: fromHex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"),
    counterLow: 0x04030201,
    counterHigh: 0x08070605,
    plaintext: utf8(
      "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, " +
        "or obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference " +
        "material or to cite them other than as /\u201cwork in progress./\u201d",
    ),
    sealed: fromHex(
      "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0" +
        "bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855" +
        "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9" +
        "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a" +
        "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130" +
        "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b" + "6e3570b1acaaf1f24f2a644f01acd12b",
    ),
  },
];

/** RFC 8439 §2.8.2: with additional data. */
export const SEALER_VECTOR = {
  key: Uint8Array.from({ length: 32 }, (_, i) => 0x80 + i),
  nonce: fromHex("070000004041424344454647"),
  additional: fromHex("50515253c0c1c2c3c4c5c6c7"),
  plaintext: new TextEncoder().encode(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen " +
      "would be it.",
  ),
  sealed: fromHex(
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b" +
      "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc" +
      "3ff4def08e4b7a9de576d26586cec64b6116" + "1ae10b594f09e26a7e902ecbd0600691",
  ),
};

/** RFC 7748 §6.1. */
export const X25519_VECTOR = {
  alicePrivate: fromHex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
  alicePublic: fromHex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
  bobPrivate: fromHex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
  bobPublic: fromHex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
  shared: fromHex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"),
};

/** Points of small order, canonical and not: every shared secret with them is zero and must be refused (§6.1). */
export const LOW_ORDER_POINTS: readonly Uint8Array[] = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map(fromHex);
