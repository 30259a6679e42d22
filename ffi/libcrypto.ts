/**
 * OpenSSL's libcrypto, 3.x or 1.1, as far as the AEAD and X25519 need it. On nearly every Linux; null where it is not.
 *
 * The functions are the same in both versions. `_buffer` variants take typed arrays (key set-up); the others take
 * integers and existing pointers only, which keeps Deno's 5 ns call path.
 */
const SYMBOLS = {
  EVP_chacha20_poly1305: { parameters: [], result: "pointer" },
  EVP_CIPHER_CTX_new: { parameters: [], result: "pointer" },
  EVP_CIPHER_CTX_free: { parameters: ["pointer"], result: "void" },
  // (ctx, cipher, engine, key, iv, encrypt)
  EVP_CipherInit_ex: {
    parameters: ["pointer", "pointer", "pointer", "pointer", "pointer", "i32"],
    result: "i32",
  },
  EVP_CipherInit_ex_buffer: {
    name: "EVP_CipherInit_ex",
    parameters: ["pointer", "pointer", "pointer", "buffer", "pointer", "i32"],
    result: "i32",
  },
  // (ctx, out, int *outLength, in, inLength)
  EVP_CipherUpdate: { parameters: ["pointer", "pointer", "pointer", "pointer", "i32"], result: "i32" },
  EVP_CipherFinal_ex: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
  EVP_CIPHER_CTX_ctrl: { parameters: ["pointer", "i32", "i32", "pointer"], result: "i32" },
  EVP_PKEY_new_raw_private_key: { parameters: ["i32", "pointer", "buffer", "u64"], result: "pointer" },
  EVP_PKEY_new_raw_public_key: { parameters: ["i32", "pointer", "buffer", "u64"], result: "pointer" },
  EVP_PKEY_get_raw_public_key: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  EVP_PKEY_free: { parameters: ["pointer"], result: "void" },
  EVP_PKEY_CTX_new: { parameters: ["pointer", "pointer"], result: "pointer" },
  EVP_PKEY_CTX_free: { parameters: ["pointer"], result: "void" },
  EVP_PKEY_derive_init: { parameters: ["pointer"], result: "i32" },
  EVP_PKEY_derive_set_peer: { parameters: ["pointer", "pointer"], result: "i32" },
  EVP_PKEY_derive: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
} as const;

export type Libcrypto = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** The loader's own search first, then places that it may not know. */
const NAMES = [
  "libcrypto.so.3",
  "libcrypto.so.1.1",
  ...["/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib"]
    .flatMap(
      (directory) => [`${directory}/libcrypto.so.3`, `${directory}/libcrypto.so.1.1`],
    ),
];

let loaded: Libcrypto | null | undefined;

/** Null when there is no usable libcrypto, or FFI is not permitted. */
export function libcrypto(): Libcrypto | null {
  if (loaded !== undefined) return loaded;
  for (const name of NAMES) {
    try {
      return loaded = Deno.dlopen(name, SYMBOLS).symbols;
    } catch {
      // Not there, or without one of the functions: the next one.
    }
  }
  return loaded = null;
}
