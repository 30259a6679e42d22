/** Whether this process may configure the network, from the text of `/proc/self/status` (proc_pid_status(5)). */

const CAP_NET_ADMIN = 12n;

/** True for effective uid 0 or an effective CAP_NET_ADMIN; false when the text says neither. */
export function mayConfigureNetwork(status: string): boolean {
  const effectiveUid = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1];
  if (effectiveUid === "0") return true;
  const effective = /^CapEff:\s+([0-9a-fA-F]{1,16})$/m.exec(status)?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> CAP_NET_ADMIN) & 1n) === 1n;
}
