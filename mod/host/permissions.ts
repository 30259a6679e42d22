/** Whether this process may create a TUN device and configure the network. */

const CAP_NET_ADMIN = 12n;

/** @param status content of /proc/self/status */
export function hasCapability(status: string, capability = CAP_NET_ADMIN): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return effective !== undefined && (BigInt(`0x${effective}`) >> capability & 1n) === 1n;
}

export function mayAdministerNetwork(): boolean {
  if (Deno.uid() === 0) return true;
  try {
    return hasCapability(Deno.readTextFileSync("/proc/self/status"));
  } catch {
    return false;
  }
}
