/** The command line that starts this very program again: from source, from the single file, or compiled. */
const BUNDLE = "/postern.js";

export function selfCommand(): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  const main = new URL(Deno.mainModule).pathname;
  // The bundle's flags keep it from reading a project that happens to be around.
  const flags = main.endsWith(BUNDLE) ? ["--no-config", "--no-lock", "--no-remote", "--no-npm"] : [];
  return [Deno.execPath(), "run", "--quiet", "--no-prompt", ...flags, "--allow-all", main];
}
