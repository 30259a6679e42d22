/**
 * What the released program may do: everything. It calls native code (FFI is full access by nature), reads
 * /proc/self/status and writes /proc/sys, which Deno grants only together with all permissions. What protects a
 * host from the gateway is the operating system: an unprivileged user with CAP_NET_ADMIN alone.
 */
export const PERMISSIONS: readonly string[] = ["--allow-all"];
