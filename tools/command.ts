/** Runs a build step; its failure ends the build with what it said. */
export async function runStep(command: string, args: readonly string[], cwd?: string): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(cwd === undefined ? {} : { cwd }),
  }).output();
  if (success) return;
  const text = new TextDecoder();
  throw new Error(
    `\`${command} ${args.join(" ")}\` failed:\n${text.decode(stderr)}${text.decode(stdout)}`.trimEnd(),
  );
}
