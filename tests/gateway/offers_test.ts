/** Clients older than 1.4: the portal passes on their offers, and the gateway chooses its own ICE credentials. */
import assert from "node:assert/strict";
import { parseIp } from "../../mod/packet/mod.ts";
import type { ConnectionOffer, GatewayCommand, IceCredentials } from "../../mod/portal/types.ts";
import {
  CLIENT_ID,
  CLIENT_TUNNEL,
  DOMAIN,
  Duo,
  GATEWAY_ID,
  GATEWAY_TUNNEL,
  PROXY,
  REAL,
  RELAY_ID,
  RESOURCE_ID,
} from "./duo.ts";
import { udp } from "./packets.ts";

const THEIRS: IceCredentials = { ufrag: "oldc", password: "old-client-password-00" };
const TO_NETWORK = udp("100.64.0.5", 40000, "10.0.0.9", 53, "question");
const TO_NAME = udp("100.64.0.5", 40000, PROXY, 53, "question");

/** A scripted old client: it offers, and takes what the gateway answers. */
class OldClient {
  readonly duo: Duo;

  constructor(options: ConstructorParameters<typeof Duo>[0] = {}) {
    this.duo = new Duo(options);
    this.duo.advance(1000);
  }

  offer(part: Partial<ConnectionOffer> = {}): void {
    const { duo } = this;
    duo.gateway.handlePortal({
      type: "connection_offered",
      offer: {
        ref: "old-ref",
        resource: duo.resource(),
        client: {
          id: CLIENT_ID,
          publicKey: duo.clientEnd.publicKey,
          presharedKey: new Uint8Array(32).fill(9),
          ...CLIENT_TUNNEL,
        },
        clientIce: THEIRS,
        expiresAt: null,
        name: undefined,
        ...part,
      },
    }, duo.now);
    duo.settle();
  }

  resolve(addresses: readonly string[] | undefined): void {
    this.duo.gateway.handleResolution(DOMAIN, addresses?.map((text) => parseIp(text)!), this.duo.now);
    this.duo.settle();
  }

  get accepted(): Extract<GatewayCommand, { type: "accepted" }> | undefined {
    return this.duo.commands.find((command) => command.type === "accepted");
  }

  /** Takes the gateway's answer as the portal would pass it on, and connects. */
  connect(): void {
    const { duo } = this;
    duo.client.handlePortal({
      type: "flow_created",
      flow: {
        resourceId: RESOURCE_ID,
        gatewayId: GATEWAY_ID,
        siteId: RELAY_ID,
        gatewayPublicKey: duo.gatewayEnd.publicKey,
        gatewayIpv4: GATEWAY_TUNNEL.ipv4,
        gatewayIpv6: GATEWAY_TUNNEL.ipv6,
        presharedKey: new Uint8Array(32).fill(9),
        clientIce: THEIRS,
        gatewayIce: this.accepted!.ice,
      },
    }, duo.now);
    for (const command of duo.commands) {
      if (command.type !== "candidates") continue;
      const { candidates } = command;
      duo.client.handlePortal({ type: "ice_candidates", gatewayId: GATEWAY_ID, candidates }, duo.now);
    }
    duo.advance(3000);
  }
}

const named = { domain: DOMAIN, proxyIps: [parseIp(PROXY)!] };

Deno.test("an old client connects with the credentials that the gateway made up, and reaches its network", () => {
  const old = new OldClient();
  old.offer();
  const { ref, ice } = old.accepted!;
  assert.equal(ref, "old-ref");
  assert.match(ice.ufrag, /^[a-z2-7]{4}$/);
  assert.match(ice.password, /^[a-z2-7]{22}$/);
  assert.equal(old.duo.commands[0]!.type, "accepted", "before the first candidates");
  old.connect();
  old.duo.client.path.send(old.duo.clientEnd.node.connection(GATEWAY_ID)!, TO_NETWORK, old.duo.now);
  old.duo.settle();
  assert.deepEqual(old.duo.atGateway.splice(0), [TO_NETWORK]);
});

Deno.test("credentials are new for every offer, and an offer replaces the connection before it", () => {
  const old = new OldClient();
  old.offer();
  old.offer({ ref: "again", clientIce: { ...THEIRS, ufrag: "newc" } });
  const [first, second] = old.duo.commands.filter((command) => command.type === "accepted");
  assert.notDeepEqual(first!.ice, second!.ice);
  assert.equal(old.duo.gatewayEnd.node.connection(CLIENT_ID)!.request.remote.ufrag, "newc");
});

Deno.test("an offer about a name waits for its addresses, and packets to the proxy address reach them", () => {
  const old = new OldClient({ pattern: "*.example.com" });
  old.offer({ name: named });
  assert.deepEqual(old.duo.outputs.filter((output) => output.type === "resolve"), [
    { type: "resolve", domain: DOMAIN },
  ]);
  assert.equal(old.accepted, undefined, "nothing is answered before the name is resolved");
  old.resolve([REAL]);
  old.connect();
  old.duo.client.path.send(old.duo.clientEnd.node.connection(GATEWAY_ID)!, TO_NAME, old.duo.now);
  old.duo.settle();
  const [packet] = old.duo.atGateway.splice(0);
  assert.deepEqual([...packet!.subarray(16, 20)], [...parseIp(REAL)!]);
});

Deno.test("a name that can't be looked up in time leaves the offer unanswered; one without addresses does not", () => {
  const old = new OldClient({ pattern: "*.example.com" });
  old.offer({ name: named });
  old.resolve(undefined);
  assert.equal(old.accepted, undefined);
  assert.equal(old.duo.policy.peerById(CLIENT_ID), undefined);
  old.offer({ name: named });
  old.resolve([]);
  assert.ok(old.accepted);
});

Deno.test("a name that is not the resource's is not looked up", () => {
  const old = new OldClient({ pattern: "*.example.com" });
  old.offer({ name: { ...named, domain: "secret.internal" } });
  assert.ok(!old.duo.outputs.some((output) => output.type === "resolve"));
  assert.ok(old.accepted);
  assert.equal(old.duo.policy.peerById(CLIENT_ID)!.translations.size, 0);
});

Deno.test("access that is withdrawn while the name is looked up is not given afterwards", () => {
  for (const withdraw of ["reject", "init"] as const) {
    const old = new OldClient({ pattern: "*.example.com" });
    old.offer({ name: named });
    if (withdraw === "reject") {
      old.duo.gateway.handlePortal(
        { type: "reject_access", clientId: CLIENT_ID, resourceId: RESOURCE_ID },
        old.duo.now,
      );
    } else {
      old.duo.gateway.handlePortal({
        type: "init",
        init: { interface: GATEWAY_TUNNEL, relays: [], accountSlug: undefined, authorizations: [] },
      }, old.duo.now);
    }
    old.resolve([REAL]);
    assert.equal(old.accepted, undefined, withdraw);
    assert.equal(old.duo.policy.peerById(CLIENT_ID), undefined, withdraw);
  }
});

Deno.test("one more resource over the same connection: no answer, no new connection", () => {
  const old = new OldClient();
  old.offer();
  old.connect();
  const connection = old.duo.gatewayEnd.node.connection(CLIENT_ID);
  const said = old.duo.commands.length;
  const resource = {
    type: "dns",
    id: "66666666-6666-4666-8666-666666666666",
    name: "App",
    filters: [],
  } as const;
  old.duo.gateway.handlePortal({
    type: "access_offered",
    offer: {
      resource: { ...resource, address: "*.example.com" },
      client: { id: CLIENT_ID, ...CLIENT_TUNNEL },
      expiresAt: null,
      name: named,
    },
  }, old.duo.now);
  old.resolve([REAL]);
  assert.equal(old.duo.commands.length, said);
  assert.equal(old.duo.gatewayEnd.node.connection(CLIENT_ID), connection);
  old.duo.client.path.send(old.duo.clientEnd.node.connection(GATEWAY_ID)!, TO_NAME, old.duo.now);
  old.duo.settle();
  assert.equal(old.duo.atGateway.splice(0).length, 1);
});

Deno.test("more access is given although its name can't be looked up, and its packets are answered unreachable", () => {
  const old = new OldClient({ pattern: "*.example.com" });
  old.offer();
  old.duo.gateway.handlePortal({
    type: "access_offered",
    offer: {
      resource: old.duo.resource(),
      client: { id: CLIENT_ID, ...CLIENT_TUNNEL },
      expiresAt: null,
      name: named,
    },
  }, old.duo.now);
  old.resolve(undefined);
  assert.equal(old.duo.policy.peerById(CLIENT_ID)!.translations.size, 1);
});

Deno.test("without relays an offer is not answered, and relays are asked for", () => {
  const old = new OldClient();
  old.duo.gateway.handlePortal(
    { type: "relays_presence", presence: { disconnectedIds: [RELAY_ID], connected: [] } },
    old.duo.now,
  );
  old.duo.settle();
  old.duo.commands.length = 0;
  old.offer();
  assert.deepEqual(old.duo.commands, [{ type: "no_relays" }]);
});

Deno.test("a thousand offers may wait for names; more are dropped and counted", () => {
  const old = new OldClient({ pattern: "*.example.com" });
  for (let i = 0; i < 1003; i++) {
    const id = `66666666-6666-4666-8666-${String(i).padStart(12, "0")}`;
    old.offer({
      name: { ...named, domain: `host-${i}.example.com` },
      resource: { ...old.duo.resource(), id },
    });
  }
  assert.equal(old.duo.gatewayEnd.counters.get("gateway_offer_dropped"), 3);
});
