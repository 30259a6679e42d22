/** Raises the kernel's limits for socket buffers, so that bursts of many clients fit. */
import { getLogger } from "@logtape/logtape";
import { Sysctls } from "../host/mod.ts";
import { causeChain } from "./errors.ts";

const log = getLogger(["postern", "cli"]);
const LIMITS = { "net.core.rmem_max": 128 << 20, "net.core.wmem_max": 16 << 20 };

/** Failure costs throughput at most; in a container it is normal. */
export function raiseBufferLimits(sysctls = new Sysctls()): void {
  for (const [key, value] of Object.entries(LIMITS)) {
    try {
      sysctls.raise(key, value);
    } catch (error) {
      log.debug("Cannot raise a socket buffer limit", { key, reason: causeChain(error) });
    }
  }
}
