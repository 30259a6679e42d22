/** SIGINT and SIGTERM as a promise: the first asks for a graceful end, a second one ends the process at once. */
import { EXIT_FAILURE } from "./errors.ts";

export interface StopSignal extends Disposable {
  /** Resolves with the signal's name. */
  readonly received: Promise<Deno.Signal>;
}

export function listenForStop(): StopSignal {
  const { promise, resolve } = Promise.withResolvers<Deno.Signal>();
  let count = 0;
  const handlers = (["SIGINT", "SIGTERM"] as const).map((signal) => {
    const handler = () => {
      if (++count > 1) Deno.exit(EXIT_FAILURE);
      resolve(signal);
    };
    Deno.addSignalListener(signal, handler);
    return [signal, handler] as const;
  });
  return {
    received: promise,
    [Symbol.dispose]() {
      for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
    },
  };
}
