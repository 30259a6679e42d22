/**
 * Proxy addresses that stand for names of DNS resources (spec policy §4.2, §4.3): each set belongs to a name and a
 * resource, and the gateway that serves the resource must have been told before packets may follow.
 *
 *   untold ──assigned_ips──► pending ──domain_status──► settled;  the gateway goes: untold again
 *
 * Until it is settled packets wait, up to a bound. A gateway that does not answer is told again when traffic goes on.
 */
import { parseIp } from "../../packet/address.ts";
import type { IpHeader } from "../../packet/ip_header.ts";
import { isProxy4, isProxy6, rangeKey4, rangeKey6 } from "../../policy/ranges.ts";
import type { Id } from "../../portal/types.ts";

/** A gateway is told again at this interval at most. */
const REPEAT_INTERVAL = 2000;

export interface Assignment {
  readonly resourceId: Id;
  readonly domain: string;
  /** As text. */
  readonly proxyIps: readonly string[];
  /** The gateway that was told; undefined: untold. */
  gatewayId: Id | undefined;
  toldAt: number;
  isSettled: boolean;
  readonly waiting: Uint8Array[];
}

export class Assignments {
  readonly #byName = new Map<string, Assignment>();
  readonly #byProxy = new Map<number, Assignment>();

  /** Idempotent: a name keeps its state when it is assigned again. */
  set(resourceId: Id, domain: string, proxyIps: readonly string[]): Assignment {
    const known = this.find(resourceId, domain);
    if (known) return known;
    const assignment: Assignment = {
      resourceId,
      domain,
      proxyIps,
      gatewayId: undefined,
      toldAt: -Infinity,
      isSettled: false,
      waiting: [],
    };
    this.#byName.set(`${resourceId} ${domain}`, assignment);
    for (const text of proxyIps) {
      const bytes = parseIp(text)!;
      const word = new DataView(bytes.buffer).getUint32(bytes.length - 4);
      this.#byProxy.set(bytes.length === 4 ? rangeKey4(word) : rangeKey6(word), assignment);
    }
    return assignment;
  }

  find(resourceId: Id, domain: string): Assignment | undefined {
    return this.#byName.get(`${resourceId} ${domain}`);
  }

  /** What a destination inside the proxy ranges stands for. */
  ofDestination({ version, dst0, dst3 }: IpHeader): Assignment | undefined {
    return this.#byProxy.get(version === 4 ? rangeKey4(dst0) : rangeKey6(dst3));
  }

  ofResource(resourceId: Id): Assignment[] {
    return [...this.#byName.values()].filter((assignment) => assignment.resourceId === resourceId);
  }

  /** The gateway is gone: whoever comes next has to be told. */
  forgetGateway(gatewayId: Id): void {
    for (const assignment of this.#byName.values()) {
      if (assignment.gatewayId !== gatewayId) continue;
      assignment.gatewayId = undefined;
      assignment.toldAt = -Infinity;
      assignment.isSettled = false;
    }
  }
}

/** True when this gateway has to be told (again) now. */
export function isDue({ gatewayId, toldAt }: Assignment, connectedTo: Id, now: number): boolean {
  return gatewayId !== connectedTo || now >= toldAt + REPEAT_INTERVAL;
}

/** True for destinations that only an assignment gives a meaning. */
export function isProxyDestination({ version, dst0, dst1, dst2, dst3 }: IpHeader): boolean {
  return version === 4 ? isProxy4(dst0) : isProxy6(dst0, dst1, dst2, dst3);
}
