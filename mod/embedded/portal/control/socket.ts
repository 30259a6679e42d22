/** The Unix socket of the control API: for its owner alone, and never stolen from a living portal. */
import type { Hono } from "hono";

export interface ControlSocket {
  readonly path: string;
  close(): Promise<void>;
}

/** Bytes of a path in a Unix socket's address, without the terminator. */
const MAX_PATH = 107;
/** Of requests that are still running when it closes. */
const CLOSE_TIMEOUT = 500;

/** @throws Error when a portal listens there, or nothing may be made there */
export async function openControlSocket(path: string, app: Hono): Promise<ControlSocket> {
  const cannot = (reason: string) => new Error(`Cannot open the control socket ${path}: ${reason}`);
  if (new TextEncoder().encode(path).length > MAX_PATH) {
    throw cannot(`the path is longer than ${MAX_PATH} bytes. Name a shorter one with --control.`);
  }
  await removeStale(path, cannot);
  // Connecting takes the right to write: only the owner, and root, have it from the first moment on.
  const umask = Deno.umask(0o177);
  const abort = new AbortController();
  let server: Deno.HttpServer<Deno.UnixAddr>;
  try {
    server = Deno.serve({ path, signal: abort.signal, onListen: () => {} }, app.fetch);
  } catch (error) {
    throw cannot(`${reasonOf(error)}. Name another path with --control.`);
  } finally {
    Deno.umask(umask);
  }
  return {
    path,
    async close() {
      const late = setTimeout(() => abort.abort(), CLOSE_TIMEOUT);
      await server.shutdown();
      await server.finished;
      clearTimeout(late);
      await Deno.remove(path).catch(() => {});
    },
  };
}

/** A socket that nobody listens at is left over from a killed portal. */
async function removeStale(path: string, cannot: (reason: string) => Error): Promise<void> {
  const found = await Deno.lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket) throw cannot("there is something else. Name another path with --control.");
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw cannot(`${reasonOf(error)}.`);
    await Deno.remove(path);
    return;
  }
  throw cannot("another portal listens there. Stop it, or name another path with --control.");
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
