/** Finds the workers of the program: every `startWorker("name", new URL("./file.ts", import.meta.url))` in `mod/`. */

export interface WorkerEntry {
  readonly name: string;
  /** Project-relative path of its main module. */
  readonly path: string;
}

const CALL = /startWorker\(\s*"([^"]+)",\s*new URL\("([^"]+)",\s*import\.meta\.url\),?\s*\)/g;

/** @param root folder of the project, with a slash at its end */
export async function findWorkers(root: URL): Promise<WorkerEntry[]> {
  const found = new Map<string, string>();
  for await (const file of sourceFiles(new URL("mod/", root))) {
    for (const [, name, specifier] of (await Deno.readTextFile(file)).matchAll(CALL)) {
      const path = new URL(specifier!, file).pathname.slice(root.pathname.length);
      const other = found.get(name!);
      if (other !== undefined && other !== path) {
        throw new Error(`Two workers are called "${name}": ${other} and ${path}. Rename one.`);
      }
      found.set(name!, path);
    }
  }
  return [...found].map(([name, path]) => ({ name, path })).sort((a, b) => a.name < b.name ? -1 : 1);
}

async function* sourceFiles(folder: URL): AsyncGenerator<URL> {
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isDirectory) yield* sourceFiles(new URL(`${entry.name}/`, folder));
    else if (entry.name.endsWith(".ts")) yield new URL(entry.name, folder);
  }
}
