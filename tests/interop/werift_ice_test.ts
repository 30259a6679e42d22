/**
 * Our ICE agent against werift-ice, an independent one, over loopback sockets:
 *
 *     ours 127.0.0.1:a ◄── checks, data ──► werift 127.0.0.1:b
 *               └──── candidates, one by one ────┘
 *
 * werift nominates aggressively (USE-CANDIDATE on its first check) unless it takes its peer for a lite agent; then it
 * nominates regularly, with a second check after the first succeeded. Its STUN server is ours, so that nothing leaves
 * the machine.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Candidate, Connection, type IceOptions } from "werift-ice";
import { CLIENT_ACTIVE, GATEWAY_ACTIVE } from "../../mod/ice/mod.ts";
import { SocketAddress } from "../../mod/packet/address.ts";
import { AttributeType, decodeStun, encodeStun } from "../../mod/stun/mod.ts";
import { IceEndpoint } from "./ice_endpoint.ts";

const HOST = "127.0.0.1";
const OURS = { ufrag: "kwe6", password: "mzkrj52x5h5ebrfdsh5iyq" };

interface Scene {
  readonly ours: IceEndpoint;
  readonly theirs: Connection;
  /** What werift received. */
  readonly texts: string[];
  /** Signals candidates both ways, each some ms after the one before, and starts werift. */
  connect(gap?: number): Promise<void>;
}

interface SceneOptions {
  readonly ours: "controlling" | "controlled";
  readonly theirs: "controlling" | "controlled";
  /** werift nominates with a second check. */
  readonly regularNomination?: boolean;
}

/** Opens both ends, runs `body`, and closes everything whatever happened. */
async function withScene(options: SceneOptions, body: (scene: Scene) => Promise<void>): Promise<void> {
  const server = createSocket("udp4");
  server.bind(0, HOST);
  await once(server, "listening");
  server.on("message", (bytes, from) => {
    const request = decodeStun(new Uint8Array(bytes));
    if (!request) return;
    const { transactionId, method } = request;
    const mapped = SocketAddress.of(from.address, from.port)!;
    const reply = { class: "success", method, transactionId } as const;
    server.send(
      encodeStun({ ...reply, attributes: [[AttributeType.XOR_MAPPED_ADDRESS, mapped]] }),
      from.port,
      from.address,
    );
  });
  const iceOptions: Partial<IceOptions> = {
    useIpv4: false,
    useIpv6: false,
    additionalHostAddresses: [HOST],
    interfaceAddresses: { udp4: HOST },
    stunServer: [HOST, server.address().port],
  };
  const theirs = new Connection(options.theirs === "controlling", iceOptions);
  const isControlling = options.ours === "controlling";
  const ours = await IceEndpoint.open({
    controlling: isControlling,
    local: OURS,
    remote: { ufrag: theirs.localUsername, password: theirs.localPassword },
    timing: isControlling ? CLIENT_ACTIVE : GATEWAY_ACTIVE,
  });
  theirs.setRemoteParams({
    iceLite: options.regularNomination ?? false,
    usernameFragment: OURS.ufrag,
    password: OURS.password,
  });
  const texts: string[] = [];
  theirs.onData.subscribe((data) => void texts.push(data.toString()));
  const connect = async (gap = 0) => {
    theirs.onIceCandidate.subscribe((candidate) => {
      setTimeout(() => ours.addRemoteCandidate(`candidate:${candidate.toSdp()}`), gap);
    });
    await theirs.gatherCandidates();
    const started = theirs.connect();
    const text = ours.gather();
    setTimeout(() => {
      theirs.addRemoteCandidate(Candidate.fromSdp(text.replace("candidate:", "")));
      theirs.addRemoteCandidate(undefined);
    }, 2 * gap);
    await started;
  };
  try {
    await body({ ours, theirs, texts, connect });
  } finally {
    await theirs.close();
    await ours.close();
    server.close();
    await once(server, "close");
  }
}

function isConnected(ours: IceEndpoint): boolean {
  return ours.agent.state === "connected" || ours.agent.state === "completed";
}

async function assertExchange({ ours, theirs, texts }: Scene): Promise<void> {
  await theirs.send(Buffer.from("from werift"));
  await ours.until(() => ours.texts.includes("from werift"), "data from werift");
  ours.send("from us");
  const arrived = Promise.withResolvers<void>();
  theirs.onData.subscribe(() => arrived.resolve());
  if (!texts.includes("from us")) await arrived.promise;
  assert.ok(texts.includes("from us"));
}

for (const nomination of ["aggressive", "regular"] as const) {
  Deno.test(`as the controlled side we connect to werift with ${nomination} nomination`, async () => {
    const regularNomination = nomination === "regular";
    await withScene({ ours: "controlled", theirs: "controlling", regularNomination }, async (scene) => {
      await scene.connect();
      assert.equal(scene.ours.checks[0], regularNomination ? "plain" : "nominating");
      assert.ok(scene.ours.checks.includes("nominating"));
      // Data may come the moment the controlling side is done; we must have accepted the nomination by then.
      await assertExchange(scene);
      assert.ok(isConnected(scene.ours));
      assert.equal(scene.ours.agent.controlling, false);
      assert.deepEqual(scene.theirs.nominated?.remoteAddr, [HOST, scene.ours.address.port]);
    });
  });
}

Deno.test("as the controlling side we connect to werift", async () => {
  await withScene({ ours: "controlling", theirs: "controlled" }, async (scene) => {
    await scene.connect();
    await scene.ours.until(() => isConnected(scene.ours), "our nomination");
    await assertExchange(scene);
    assert.equal(scene.ours.agent.controlling, true);
    assert.deepEqual(scene.theirs.nominated?.remoteAddr, [HOST, scene.ours.address.port]);
  });
});

Deno.test("candidates that trickle in late connect to werift, in both roles", async () => {
  for (const [ours, theirs] of [["controlling", "controlled"], ["controlled", "controlling"]] as const) {
    await withScene({ ours, theirs }, async (scene) => {
      await scene.connect(200);
      await scene.ours.until(() => isConnected(scene.ours), `connection as ${ours}`);
      await assertExchange(scene);
    });
  }
});

Deno.test("werift finds us as peer-reflexive when only its candidates are signalled", async () => {
  await withScene({ ours: "controlled", theirs: "controlling" }, async (scene) => {
    scene.theirs.onIceCandidate.subscribe((candidate) =>
      scene.ours.addRemoteCandidate(`candidate:${candidate.toSdp()}`)
    );
    await scene.theirs.gatherCandidates();
    scene.ours.gather();
    await scene.theirs.connect();
    await assertExchange(scene);
  });
});

Deno.test("a role conflict with werift is settled: both controlling, both controlled", async () => {
  for (const role of ["controlling", "controlled"] as const) {
    await withScene({ ours: role, theirs: role }, async (scene) => {
      await scene.connect();
      await scene.ours.until(() => isConnected(scene.ours), `connection with both ${role}`);
      await assertExchange(scene);
      assert.notEqual(scene.ours.agent.controlling, scene.theirs.iceControlling);
    });
  }
});
