/** Whether a program is installed; `sbin` counts even where it is not on a normal user's PATH. */
export function hasCommand(name: string): boolean {
  return ["/usr/sbin", "/sbin", ...(Deno.env.get("PATH") ?? "").split(":")].some((folder) => {
    try {
      const { isFile, mode } = Deno.statSync(`${folder}/${name}`);
      return isFile && (mode! & 0o111) !== 0;
    } catch {
      return false;
    }
  });
}
