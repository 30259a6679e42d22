/**
 * Random histories of the portal, of names, of time and of packets, on the policy and on the reference model at once:
 * after every step each probe must have the outcome that the model says, byte for byte (spec policy §10.3).
 */
import { strict as assert } from "node:assert";
import fc from "fast-check";
import { type AssignedIps, decodeControl, encodeControl } from "../../mod/policy/control_packet.ts";
import type { Filter, Resource } from "../../mod/policy/types.ts";
import { Bed, EPOCH, GATEWAY, type Party } from "./harness.ts";
import { ip } from "./packets.ts";
import { bytesOf, translatedError } from "./probe_bytes.ts";
import { type ModelResource, type Probe, ReferenceModel } from "./reference_model.ts";
import {
  dnsId,
  domain,
  duration,
  familyOf,
  type FollowUp,
  id,
  lifetime,
  party,
  type Probes,
  probes,
  proxyIps,
  resolved,
  resource,
} from "./universe.ts";

type Act = (model: ReferenceModel, bed: Bed) => void;

/** The policy in its harness, and what it let out so far, as the outside saw it. */
interface Real {
  readonly bed: Bed;
  readonly flows: Probe[];
}

/** One step of a history: something happens to both sides, then the probes are compared. */
class Step implements fc.Command<ReferenceModel, Real> {
  /** @param late the owner of the policy does not call `handleTimeout` before the next packet. */
  constructor(readonly name: string, readonly probes: Probes, readonly act: Act, readonly late = false) {}

  check(): boolean {
    return true;
  }

  toString(): string {
    return this.name;
  }

  run(model: ReferenceModel, { bed, flows }: Real): void {
    this.act(model, bed);
    if (!this.late) this.#compareState(model, bed);
    for (const { party, probe } of this.probes.out) {
      const flow = compareOutbound(model, bed, party, probe);
      if (flow) flows.push(flow);
    }
    for (const followUp of this.probes.followUps) {
      const flow = flows[flows.length - 1 - followUp.age];
      const probe = flow && consequence(flow, followUp);
      if (probe) compareInbound(model, bed, probe);
    }
    for (const probe of this.probes.in) compareInbound(model, bed, probe);
  }

  #compareState(model: ReferenceModel, bed: Bed): void {
    bed.policy.handleTimeout(bed.now);
    const next = bed.policy.pollTimeout();
    assert.ok(next === undefined || next > bed.now, "asks to be woken in the past");
    assert.deepEqual([...bed.policy.peers()].map((p) => p.clientId).sort(), [...model.clients.keys()].sort());
  }
}

/** The packet as the outside sees it, if it got there. */
function compareOutbound(model: ReferenceModel, bed: Bed, party: Party, probe: Probe): Probe | undefined {
  const outcome = bed.send(party, bytesOf(probe));
  const expected = model.outbound(party.id, probe);
  const what = `outbound ${JSON.stringify(probe)} of ${party.id}`;
  if (typeof expected === "string") {
    assert.equal(outcome, expected, what);
    return undefined;
  }
  const outside = { ...probe, ...expected };
  assert.deepEqual(outcome, bytesOf(outside), what);
  return outside;
}

function compareInbound(model: ReferenceModel, bed: Bed, probe: Probe): void {
  const delivery = bed.receive(bytesOf(probe));
  const expected = model.inbound(probe);
  const what = `inbound ${JSON.stringify(probe)}`;
  assert.equal(delivery?.to, expected?.to, what);
  if (!delivery || !expected) return;
  const bytes = expected.as.quote
    ? translatedError(probe, expected.as)
    : bytesOf({ ...probe, ...expected.as });
  assert.deepEqual(delivery.bytes, bytes, what);
}

/** What comes back for a packet on the outside; undefined: no router reports an error about such a packet. */
function consequence(flow: Probe, { type, flag, router }: FollowUp): Probe | undefined {
  const { kind, src, dst, srcPort, dstPort } = flow;
  const back = { ...flow, flag, src: dst, dst: src };
  if (type === "error") {
    if (kind !== "tcp" && kind !== "udp" && kind !== "echo") return undefined;
    const reporter = router[familyOf(src) === 4 ? 0 : 1];
    return { ...back, kind: "icmp-error", src: reporter, quote: { kind, srcPort, dst } };
  }
  if (kind === "echo") return { ...back, kind: "echo-reply" };
  return kind === "echo-reply" ? { ...back, kind: "echo" } : { ...back, srcPort: dstPort, dstPort: srcPort };
}

function real(resource: ModelResource): Resource {
  const filters = resource.kind === "internet"
    ? []
    : resource.filters.map((f): Filter =>
      f.protocol === "icmp"
        ? { protocol: "icmp" }
        : { protocol: f.protocol, portStart: f.from, portEnd: f.to }
    );
  switch (resource.kind) {
    case "internet":
      return { type: "internet", id: resource.id };
    case "dns":
      return { type: "dns", id: resource.id, address: resource.pattern, filters };
    case "cidr": {
      const [base, prefix] = resource.network.split("/");
      return { type: "cidr", id: resource.id, address: { ip: ip(base!), prefix: Number(prefix) }, filters };
    }
  }
}

/** Monotonic deadline and Unix time (by the wall clock as it is now) of the same instant. */
function instant(bed: Bed, seconds: number | undefined): { until: number; expiresAt: number | null } {
  if (seconds === undefined) return { until: Infinity, expiresAt: null };
  const wall = EPOCH + bed.wallSkew;
  const expiresAt = Math.floor((wall + bed.now) / 1000) + seconds;
  return { until: expiresAt * 1000 - wall, expiresAt };
}

const grant = fc.tuple(party, resource, lifetime, probes).map(([party, resource, seconds, probes]) =>
  new Step(`grant ${party.ipv4} ${JSON.stringify(resource)} for ${seconds} s`, probes, (model, bed) => {
    const { until, expiresAt } = instant(bed, seconds);
    model.grant(party.id, [party.ipv4, party.ipv6], resource, until);
    bed.grant(party, real(resource), expiresAt);
  })
);

const revoke = fc.tuple(party, id, probes).map(([party, id, probes]) =>
  new Step(`revoke ${party.ipv4} ${id}`, probes, (model, bed) => {
    model.revoke(party.id, id);
    bed.policy.revoke(party.id, id);
  })
);

const updateExpiry = fc.tuple(party, id, lifetime, probes).map(([party, id, seconds, probes]) =>
  new Step(`expiry of ${party.ipv4} ${id} in ${seconds} s`, probes, (model, bed) => {
    const { until, expiresAt } = instant(bed, seconds);
    model.updateExpiry(party.id, id, until);
    bed.policy.updateExpiry(party.id, id, expiresAt, bed.now);
  })
);

const updateResource = fc.tuple(resource, probes).map(([resource, probes]) =>
  new Step(`update ${JSON.stringify(resource)}`, probes, (model, bed) => {
    model.updateFilters(resource);
    bed.policy.updateResource(real(resource));
  })
);

const listed = fc.record({
  party,
  id,
  expiry: fc.option(fc.record({ seconds: lifetime }), { nil: undefined }),
});
const list = fc.option(fc.array(listed, { maxLength: 12, size: "max" }), { nil: undefined });
const reconcile = fc.tuple(list, probes).map(([list, probes]) =>
  new Step(`reconcile ${JSON.stringify(list)}`, probes, (model, bed) => {
    const entries = list?.map(({ party, id, expiry }) => ({
      clientId: party.id,
      resourceId: id,
      ...(expiry ? instant(bed, expiry.seconds) : { until: null, expiresAt: undefined }),
    }));
    model.reconcile(entries);
    bed.policy.reconcile(entries, bed.now);
  })
);

const removePeer = fc.tuple(party, probes).map(([party, probes]) =>
  new Step(`goodbye from ${party.ipv4}`, probes, (model, bed) => {
    model.remove(party.id);
    bed.policy.removePeer(party.id);
  })
);

const assign = fc.tuple(party, dnsId, domain, proxyIps, resolved, probes).map((
  [party, resource, domain, proxyIps, resolved, probes],
) =>
  new Step(
    `${party.ipv4} maps ${proxyIps} to ${domain} of ${resource} = ${resolved}`,
    probes,
    (model, bed) => {
      bed.policy.handleTimeout(bed.now);
      const expected = model.assign(party.id, resource, domain, proxyIps, resolved);
      const peer = bed.policy.peerById(party.id);
      assert.equal(peer !== undefined, expected !== undefined);
      if (!peer) return;
      bed.events();
      const message: AssignedIps = { type: "assigned-ips", resource, domain, proxyIps };
      assert.equal(bed.send(party, encodeControl(message)), "control");
      bed.policy.handleAssignedIps(peer, message);
      const events = bed.events();
      if (events[0]?.type === "resolve") bed.policy.handleResolution(domain, resolved?.map(ip));
      const answer = [...events, ...bed.events()].find((event) => event.type === "control");
      assert.ok(answer?.peer === peer);
      const status = { type: "domain-status", resource, domain, active: expected };
      assert.deepEqual(decodeControl(answer.packet), status);
    },
  )
);

const advance = fc.tuple(duration, fc.boolean(), probes).map(([ms, late, probes]) =>
  new Step(`${ms} ms pass${late ? ", nobody looks at the clock" : ""}`, probes, (model, bed) => {
    model.advance(ms, late);
    if (late) bed.now += ms;
    else bed.advance(ms);
  }, late)
);

const clockJump = fc.tuple(fc.integer({ min: -1e8, max: 1e8 }), probes).map(([ms, probes]) =>
  new Step(`the wall clock jumps by ${ms} ms`, probes, (_model, bed) => {
    bed.wallSkew += ms;
  })
);

const step = fc.oneof(
  { weight: 20, arbitrary: grant },
  { weight: 15, arbitrary: assign },
  { weight: 15, arbitrary: advance },
  { weight: 4, arbitrary: revoke },
  { weight: 3, arbitrary: updateExpiry },
  { weight: 5, arbitrary: updateResource },
  { weight: 2, arbitrary: reconcile },
  { weight: 1, arbitrary: removePeer },
  { weight: 1, arbitrary: clockJump },
);
const commands = fc.commands<ReferenceModel, Real>([step], { maxCommands: 50, size: "max" });

/**
 * Runs `numRuns` histories; throws with the smallest failing one and its seed. Returns how often each counter of the
 * policy was hit.
 */
export function checkHistories(
  parameters: fc.Parameters<[Iterable<fc.Command<ReferenceModel, Real>>]>,
): Map<string, number> {
  const totals = new Map<string, number>();
  fc.assert(
    fc.property(commands, (history) => {
      const bed = new Bed();
      const model = new ReferenceModel();
      model.now = bed.now;
      model.gateway = [GATEWAY.ipv4, GATEWAY.ipv6];
      fc.modelRun(() => ({ model, real: { bed, flows: [] } }), history);
      for (const name of bed.counters.names) {
        totals.set(name, (totals.get(name) ?? 0) + bed.counters.get(name));
      }
    }),
    parameters,
  );
  return totals;
}
