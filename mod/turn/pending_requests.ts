/** The requests on their way to one relay, by `transactionKey`. */
import type { SocketAddress } from "../packet/address.ts";
import { Method } from "../stun/mod.ts";
import type { PendingRequest } from "./request.ts";

export class PendingRequests extends Map<string, PendingRequest> {
  /** When the first of them is considered lost; Infinity: there are none. */
  get dueAt(): number {
    let next = Infinity;
    for (const { timeoutAt } of this.values()) if (timeoutAt < next) next = timeoutAt;
    return next;
  }

  includes(method: number): boolean {
    for (const { request } of this.values()) if (request.method === method) return true;
    return false;
  }

  /** The BINDING that this socket has not answered. */
  bindingTo(socket: SocketAddress): [key: string, pending: PendingRequest] | undefined {
    for (const entry of this) {
      const { method, dst } = entry[1].request;
      if (method === Method.BINDING && dst.equals(socket)) return entry;
    }
    return undefined;
  }

  /** Forgets everything but BINDINGs. */
  keepBindings(): void {
    for (const [key, { request }] of this) if (request.method !== Method.BINDING) this.delete(key);
  }
}
