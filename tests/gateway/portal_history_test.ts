/**
 * Whatever a portal says in whatever order, for new clients and old ones: a client holds exactly what was given to it
 * and not taken back since, also when the giving had to wait for a name.
 */
import fc from "fast-check";
import assert from "node:assert/strict";
import { parseIp } from "../../mod/packet/mod.ts";
import type { GatewayEvent, ProxiedName, Resource } from "../../mod/portal/types.ts";
import { Duo, GATEWAY_TUNNEL } from "./duo.ts";

const CLIENTS = [0, 1].map((i) => ({
  id: `1111111${i}-1111-4111-8111-111111111111`,
  publicKey: new Uint8Array(32).fill(9 + i),
  presharedKey: new Uint8Array(32).fill(i),
  ipv4: parseIp(`100.64.0.${20 + i}`)!,
  ipv6: parseIp(`fd00:2021:1111::${20 + i}`)!,
}));
const RESOURCES: readonly Resource[] = [0, 1].map((i) => ({
  type: "dns",
  id: `4444444${i}-4444-4444-8444-444444444444`,
  name: "App",
  address: `*.site-${i}.example`,
  filters: [],
}));
const nameOf = (resource: number): ProxiedName => ({
  domain: `app.site-${resource}.example`,
  proxyIps: [parseIp(`100.96.0.${1 + resource}`)!],
});

type Step =
  | {
    readonly say: "authorize" | "offer" | "access";
    readonly client: number;
    readonly resource: number;
    readonly named: boolean;
  }
  | { readonly say: "reject"; readonly client: number; readonly resource: number }
  | {
    readonly say: "init";
    readonly kept: readonly (readonly [client: number, resource: number])[] | undefined;
  }
  | { readonly say: "resolution"; readonly resource: number; readonly outcome: "addresses" | "none" | "late" }
  | { readonly say: "time"; readonly ms: number };

/** Few of each, so that what is said concerns what was said before. */
const client = fc.nat(1), resource = fc.nat(1);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ say: fc.constantFrom("authorize", "offer", "access"), client, resource, named: fc.boolean() }),
  fc.record({ say: fc.constant("reject"), client, resource }),
  fc.record({
    say: fc.constant("init"),
    kept: fc.option(fc.array(fc.tuple(client, resource)), { nil: undefined }),
  }),
  fc.record({
    say: fc.constant("resolution"),
    resource,
    outcome: fc.constantFrom("addresses", "none", "late"),
  }),
  fc.record({ say: fc.constant("time"), ms: fc.nat(30_000) }),
);

/** What should be: who holds what, and whose offer waits for a name. */
class Model {
  readonly held = new Set<string>();
  readonly waiting = new Map<string, { readonly resource: number; readonly isConnection: boolean }>();

  apply(step: Step): void {
    if (step.say === "reject") {
      this.held.delete(key(step.client, step.resource));
      this.waiting.delete(key(step.client, step.resource));
    } else if (step.say === "init") {
      if (step.kept === undefined) return;
      const kept = new Set(step.kept.map(([c, r]) => key(c, r)));
      for (const pair of [...this.held]) if (!kept.has(pair)) this.held.delete(pair);
      for (const pair of [...this.waiting.keys()]) if (!kept.has(pair)) this.waiting.delete(pair);
    } else if (step.say === "resolution") {
      for (const [pair, { resource, isConnection }] of [...this.waiting]) {
        if (resource !== step.resource) continue;
        this.waiting.delete(pair);
        if (!isConnection || step.outcome !== "late") this.held.add(pair);
      }
    } else if (step.say !== "time") {
      const pair = key(step.client, step.resource);
      if (step.say !== "authorize" && step.named) {
        this.waiting.set(pair, { resource: step.resource, isConnection: step.say === "offer" });
      } else this.held.add(pair);
    }
  }
}

function key(client: number, resource: number): string {
  return `${CLIENTS[client]!.id} ${RESOURCES[resource]!.id}`;
}

function eventOf(step: Exclude<Step, { say: "resolution" | "time" }>): GatewayEvent {
  if (step.say === "reject") {
    const { id: clientId } = CLIENTS[step.client]!, { id: resourceId } = RESOURCES[step.resource]!;
    return { type: "reject_access", clientId, resourceId };
  }
  if (step.say === "init") {
    const authorizations = step.kept?.map(([c, r]) => ({
      clientId: CLIENTS[c]!.id,
      resourceId: RESOURCES[r]!.id,
      expiresAt: undefined,
    }));
    return {
      type: "init",
      init: { interface: GATEWAY_TUNNEL, relays: [], accountSlug: undefined, authorizations },
    };
  }
  const common = {
    ref: "ref",
    client: CLIENTS[step.client]!,
    resource: RESOURCES[step.resource]!,
    expiresAt: null,
  };
  const ice = { ufrag: `ice${step.client}`, password: "password-of-the-client" };
  const name = step.named ? nameOf(step.resource) : undefined;
  switch (step.say) {
    case "authorize":
      return {
        type: "authorize",
        authorization: { ...common, clientIce: ice, gatewayIce: { ...ice, ufrag: "gate" } },
      };
    case "offer":
      return { type: "connection_offered", offer: { ...common, clientIce: ice, name } };
    case "access": {
      const { ref: _ref, ...access } = common;
      return { type: "access_offered", offer: { ...access, name } };
    }
  }
}

function say(duo: Duo, step: Step): void {
  if (step.say === "time") return duo.advance(step.ms);
  if (step.say === "resolution") {
    const outcomes = { addresses: [parseIp("172.20.0.9")!], none: [], late: undefined };
    duo.gateway.handleResolution(nameOf(step.resource).domain, outcomes[step.outcome], duo.now);
  } else duo.gateway.handlePortal(eventOf(step), duo.now);
  duo.settle();
}

Deno.test("after any history of a portal's words each client holds what the model says, no more and no less", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 40, size: "max" }), (steps) => {
      const duo = new Duo();
      duo.advance(1000);
      const model = new Model();
      for (const one of steps) {
        say(duo, one);
        model.apply(one);
        const held = [...duo.policy.peers()].flatMap((peer) =>
          [...peer.grants.keys()].map((id) => `${peer.clientId} ${id}`)
        );
        assert.deepEqual(held.sort(), [...model.held].sort());
      }
    }),
    { numRuns: 150 },
  );
});
