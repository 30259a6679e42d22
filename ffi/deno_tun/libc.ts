/**
 * The few C functions that a TUN needs. `open`, `fcntl` and `ioctl` are variadic in C; on Linux x86-64 and arm64 their
 * third argument travels as in a fixed-arity function, so each argument type gets an alias.
 */
import { TunError } from "./errors.ts";

const SYMBOLS = {
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  ioctl_buffer: { name: "ioctl", parameters: ["i32", "u64", "buffer"], result: "i32" },
  ioctl_value: { name: "ioctl", parameters: ["i32", "u64", "u64"], result: "i32" },
  mkdir: { parameters: ["buffer", "u32"], result: "i32" },
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  mknod: { parameters: ["buffer", "u32", "u64"], result: "i32" },
  read_buffer: { name: "read", parameters: ["i32", "buffer", "u64"], result: "i32" },
  write_buffer: { name: "write", parameters: ["i32", "buffer", "u64"], result: "i32" },
  read: { parameters: ["i32", "pointer", "u64"], result: "i32" },
  writev: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

export interface TunLibc {
  readonly call: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** errno of this thread: read it straight after a failed call. */
  readonly errno: Int32Array;
}

let loaded: TunLibc | undefined;

export function tunLibc(): TunLibc {
  if (loaded) return loaded;
  const call = open();
  const address = call.__errno_location();
  if (address === null) throw new Error("Cannot find errno: the C library gave no address. Report this.");
  return loaded = { call, errno: new Int32Array(Deno.UnsafePointerView.getArrayBuffer(address, 4)) };
}

function open(): TunLibc["call"] {
  try {
    return Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  } catch (cause) {
    throw new TunError(
      "failed",
      `Cannot load the C library: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        "Run on Linux with glibc and give Deno the full --allow-ffi (a list of paths is not enough).",
    );
  }
}

/** A NUL-terminated C string. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}
