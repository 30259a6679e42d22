/**
 * What the released program may do: everything. It calls native code (FFI is full access by nature), reads
 * /proc/self/status and writes /proc/sys, which Deno grants only together with all permissions. What protects a
 * host from the gateway is the operating system: an unprivileged user with CAP_NET_ADMIN alone.
 */
export const PERMISSIONS: readonly string[] = ["--allow-all"];

/**
 * Small young generations: packets never touch the heap, so a large nursery would only fill with control messages
 * before its first collection (110 instead of 145 MB under load). So small ones are collected by one thread with less
 * than it takes to wake others (2.9 instead of 3.2 % of a core for a thousand idle clients).
 */
export const V8_FLAGS: readonly string[] = ["--max-semi-space-size=1", "--no-parallel-scavenge"];
