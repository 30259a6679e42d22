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
  let loop: RelayLoop | undefined;
  try {
    const counters = new Counters(data.counters);
    loop = new RelayLoop({ ...data, counters, wake: EventFd.attach(data.wakeFd) });
    scope.postMessage({ type: "started", counterNames: counters.names });
    loop.run();
    scope.postMessage({ type: "stopped" });
  } catch (error) {
    scope.postMessage({ type: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
  loop?.close();
  scope.close();
};
