/** Content of a file, or undefined when it is no readable file. */
export function readFileIfAny(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
