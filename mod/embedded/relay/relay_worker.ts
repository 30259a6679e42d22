/** Worker entry: the relay's thread. */
import { EventFd } from "../../../ffi/poll.ts";
import { Counters } from "../../packet/counters.ts";
import { RelayLoop } from "./relay_loop.ts";
import type { FromRelay, StartRelay } from "./relay_messages.ts";

const scope = self as unknown as {
  onmessage: (event: MessageEvent<StartRelay>) => void;
  postMessage(message: FromRelay): void;
  close(): void;
};

scope.onmessage = ({ data }) => {
  scope.postMessage(relay(data));
  scope.close();
};

/** Relays until told to stop, and frees every port; the last word. */
function relay(start: StartRelay): FromRelay {
  let loop: RelayLoop | undefined;
  try {
    const counters = new Counters(start.counters);
    loop = new RelayLoop({ ...start, counters, wake: EventFd.attach(start.wakeFd) });
    scope.postMessage({ type: "started", counterNames: counters.names });
    loop.run();
    return { type: "stopped" };
  } catch (error) {
    return { type: "failed", reason: error instanceof Error ? error.message : String(error) };
  } finally {
    loop?.close();
  }
}
