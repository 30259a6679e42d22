/**
 * Where a Worker's code comes from. In the source tree it is a file beside this one; the single-file bundle embeds
 * every worker as text and starts it from a Blob URL (design §9).
 */
const embedded = new Map<string, string>();

/** For the bundle's entry: the text of the worker called `name`. */
export function embedWorker(name: string, source: string): void {
  embedded.set(name, source);
}

/** Starts the worker called `name`, whose source file is `url` unless it was embedded. */
export function startWorker(name: string, url: URL): Worker {
  const source = embedded.get(name);
  if (source === undefined) return new Worker(url, { type: "module", name });
  const blob = URL.createObjectURL(new Blob([source], { type: "application/javascript" }));
  return new Worker(blob, { type: "module", name });
}
