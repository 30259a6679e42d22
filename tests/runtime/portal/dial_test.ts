/** Names that don't resolve and addresses that don't answer, on real sockets of this host's many loopback addresses. */
import assert from "node:assert/strict";
import { liveGateway } from "../../embedded/portal/live_device.ts";
import { CERTIFICATE as ANOTHER } from "../../embedded/portal/certificate.ts";
import { CERTIFICATE } from "./certificate.ts";
import { ScriptedPortal, type ScriptedPortalOptions } from "./scripted_portal.ts";

const DEAD = "127.0.0.90";

/** A gateway whose resolver is the test's. `lookups` has the answers in turn, the last one for ever. */
async function world(
  lookups: readonly (() => Promise<readonly string[]>)[],
  options: ScriptedPortalOptions & { readonly hosts?: readonly string[]; readonly ca?: string },
  run: (
    parts: {
      gateway: ReturnType<typeof liveGateway>;
      portals: readonly ScriptedPortal[];
      lookupCount: () => number;
    },
  ) => Promise<void>,
) {
  const { hosts = ["127.0.0.1"], secure = false } = options;
  const portals: ScriptedPortal[] = [];
  for (const host of hosts) {
    const answers = portals.length === hosts.length - 1 ? options.answers : undefined;
    portals.push(
      await ScriptedPortal.start({
        ...options,
        host,
        // All but the last take connections and say nothing, not even TLS.
        ...(portals.length < hosts.length - 1 && { secure: false, answers: ["silence"] }),
        ...(answers && { answers }),
        ...(portals[0] && { port: portals[0].port }),
      }),
    );
  }
  let count = 0;
  const gateway = liveGateway({
    apiUrl: `${secure ? "wss" : "ws"}://portal.test:${portals[0]!.port}`,
    token: "token",
    ca: options.ca ?? CERTIFICATE,
    resolve: () => lookups[Math.min(count++, lookups.length - 1)]!(),
  });
  try {
    await run({ gateway, portals, lookupCount: () => count });
  } finally {
    await gateway.connection.close();
    for (const portal of portals) await portal.stop();
  }
}

const is = (...addresses: string[]) => () => Promise.resolve(addresses);
const fails = () => Promise.reject(new Error("getaddrinfo EAI_AGAIN portal.test"));
const hangs = () => new Promise<never>(() => {});

Deno.test("a name that does not resolve yet is tried again, and resolved anew at each attempt", async () => {
  await world([fails, is(), is("127.0.0.1")], {}, async ({ gateway, lookupCount }) => {
    assert.match((await gateway.diary.next("down")).reason, /EAI_AGAIN/);
    assert.match((await gateway.diary.next("down")).reason, /no address for portal\.test/);
    await gateway.diary.next("joined");
    assert.equal(lookupCount(), 3);
  });
});

Deno.test("a portal that moves to another address is found at the next attempt", async () => {
  await world([is(DEAD), is("127.0.0.1")], {}, async ({ gateway }) => {
    assert.match((await gateway.diary.next("down")).reason, /ECONNREFUSED 127\.0\.0\.90/);
    await gateway.diary.next("joined");
  });
});

Deno.test("when the resolver fails, the addresses that it gave last are tried", async () => {
  await world([is("127.0.0.1"), fails], {}, async ({ gateway, portals }) => {
    await gateway.diary.next("joined");
    portals[0]!.sockets[0]!.terminate();
    await gateway.diary.next("down");
    await gateway.diary.next("joined");
  });
});

Deno.test("when the resolver takes its time, the addresses that it gave last are tried after 3 s", async () => {
  await world([is("127.0.0.1"), hangs], {}, async ({ gateway, portals }) => {
    await gateway.diary.next("joined");
    portals[0]!.sockets[0]!.terminate();
    await gateway.diary.next("down");
    const begin = performance.now();
    await gateway.diary.next("joined");
    assert.ok(performance.now() - begin > 2_500);
  });
});

Deno.test("dead addresses among several cost nothing, and all are named when all are dead", async () => {
  await world([is(DEAD, "127.0.0.91", "127.0.0.1", "127.0.0.92")], {}, async ({ gateway }) => {
    const begin = performance.now();
    await gateway.diary.next("joined");
    assert.ok(performance.now() - begin < 500);
  });
  await world([is(DEAD, "127.0.0.91")], {}, async ({ gateway }) => {
    const { reason } = await gateway.diary.next("down");
    assert.match(reason, /127\.0\.0\.90:\d+; connect ECONNREFUSED 127\.0\.0\.91:\d+/);
  });
});

Deno.test("an address that takes connections and says nothing costs a second, not the attempt", async () => {
  const hosts = ["127.0.0.2", "127.0.0.3"];
  await world([is(...hosts)], { hosts, secure: true }, async ({ gateway, portals }) => {
    const begin = performance.now();
    await gateway.diary.next("joined");
    assert.ok(performance.now() - begin < 2_000);
    assert.equal(portals[1]!.requests.length, 1);
  });
});

Deno.test("of several that answer one is used, and the others are let go", async () => {
  const hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
  await world([is("127.0.0.4", "127.0.0.4", "127.0.0.4")], { hosts }, async ({ gateway, portals }) => {
    await gateway.diary.next("joined");
    assert.equal(portals[2]!.connections, 1, "the same address thrice is one address");
  });
});

Deno.test("a file with several authorities is trusted whole; without the right one the reason is said", async () => {
  for (const ca of [ANOTHER + CERTIFICATE, CERTIFICATE + ANOTHER]) {
    await world([is("127.0.0.1")], { secure: true, ca }, async ({ gateway }) => {
      await gateway.diary.next("joined");
    });
  }
  await world([is("127.0.0.1")], { secure: true, ca: ANOTHER }, async ({ gateway }) => {
    assert.match((await gateway.diary.next("down")).reason, /certificate|UnknownIssuer/i);
  });
});

for (const secure of [false, true]) {
  Deno.test(`a session that is closed says goodbye with 1000 over ${secure ? "wss" : "ws"}`, async () => {
    await world([is("127.0.0.1")], { secure }, async ({ gateway, portals }) => {
      await gateway.diary.next("joined");
      await gateway.connection.close();
      assert.equal(await portals[0]!.closed, 1000);
    });
  });
}

Deno.test("a link that is open and carries nothing is noticed, given up and made anew", async () => {
  await world([is("127.0.0.1")], {}, async ({ gateway, portals }) => {
    await gateway.diary.next("joined");
    portals[0]!.sockets[0]!.pause(); // The kernel still acknowledges: no write fails, no reset comes.
    gateway.connection.verify();
    assert.match((await gateway.diary.next("down")).reason, /does not answer/);
    await gateway.diary.next("joined");
  });
});
