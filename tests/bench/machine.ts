/** One line about what the figures were measured on. */
export function machine(): string {
  const cpu = /^model name\s*:\s*(.+)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1] ?? Deno.build.arch;
  const memory = Math.round(Deno.systemMemoryInfo().total / 2 ** 30);
  return `${navigator.hardwareConcurrency} x ${cpu}, ${memory} GiB, Linux ${Deno.osRelease()}, Deno ${Deno.version.deno}`;
}
