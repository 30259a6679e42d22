/** DNS over real sockets, on loopback addresses of this machine. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { ConnectionLimits, type ExchangeCommand, frame, FrameReader } from "../../mod/dns/mod.ts";
import { type Driven, Driver } from "../../mod/dns/io/driver.ts";
import { readMessage, writeAll } from "../../mod/dns/io/exchanges.ts";
import { DnsServer, type DnsServerOptions } from "../../mod/dns/io/server.ts";
import { TunnelDns } from "../../mod/dns/io/tunnel_dns.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";
import { queryBytes } from "../dns/messages.ts";

const QUERY = queryBytes();

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** Answers every query with itself backwards; a first byte of 0xff is no query. */
const mirror = (bytes: Uint8Array) => Promise.resolve(bytes[0] === 0xff ? undefined : bytes.toReversed());

function options(overrides: Partial<DnsServerOptions> = {}): DnsServerOptions {
  return {
    address: "127.0.0.1",
    port: freePort(),
    limits: new ConnectionLimits(),
    idleTimeout: 5000,
    handler: mirror,
    onRefused: () => {},
    onError: () => {},
    ...overrides,
  };
}

/** The answer over UDP; undefined after `timeout` milliseconds. */
function askUdp(address: string, port: number, query: Uint8Array, timeout = 2000) {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const timer = setTimeout(() => resolve(undefined), timeout);
  socket.on("message", (bytes) => resolve(new Uint8Array(bytes)));
  socket.send(query, port, address);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

async function askTcp(address: string, port: number, ...queries: Uint8Array[]) {
  using connection = await Deno.connect({ hostname: address, port });
  const reader = new FrameReader(), answers: (Uint8Array | undefined)[] = [];
  for (const query of queries) {
    await writeAll(connection, frame(query));
    answers.push(await readMessage(connection, reader));
  }
  return answers;
}

Deno.test("a server answers over UDP and TCP, many queries on one connection", async () => {
  const given = options();
  const server = await DnsServer.listen(given);
  try {
    const answer = QUERY.toReversed();
    for (let i = 0; i < 3; i++) assert.deepEqual(await askUdp("127.0.0.1", given.port, QUERY), answer);
    assert.deepEqual(await askTcp("127.0.0.1", given.port, QUERY, QUERY, QUERY), [answer, answer, answer]);
  } finally {
    server.close();
  }
});

Deno.test("what is no query gets no answer over UDP and the end of the connection over TCP", async () => {
  const given = options();
  const server = await DnsServer.listen(given);
  try {
    const nonsense = Uint8Array.of(0xff, 1, 2);
    assert.equal(await askUdp("127.0.0.1", given.port, nonsense, 150), undefined);
    assert.equal(await askUdp("127.0.0.1", given.port, new Uint8Array(2001), 150), undefined);
    assert.deepEqual(await askTcp("127.0.0.1", given.port, nonsense), [undefined]);
    assert.ok(await askUdp("127.0.0.1", given.port, QUERY));
  } finally {
    server.close();
  }
});

Deno.test("a connection that brings no whole query in time is closed, also one that trickles", async () => {
  const given = options({ idleTimeout: 200 });
  const server = await DnsServer.listen(given);
  try {
    for (const bytes of [[], [0, 100]]) {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: given.port });
      const started = performance.now();
      await writeAll(connection, Uint8Array.from(bytes));
      const trickle = setInterval(
        () => bytes.length > 0 && connection.write(new Uint8Array(1)).catch(() => {}),
        50,
      );
      const read = await connection.read(new Uint8Array(1)).catch(() => null);
      clearInterval(trickle);
      assert.equal(read, null);
      assert.ok(performance.now() - started >= 150);
    }
  } finally {
    server.close();
  }
});

Deno.test("connections beyond a client's share are refused, and the share comes back", async () => {
  let refused = 0;
  const given = options({ onRefused: () => refused++ });
  const server = await DnsServer.listen(given);
  const open: Deno.TcpConn[] = [];
  try {
    for (let i = 0; i < 32; i++) open.push(await Deno.connect({ hostname: "127.0.0.1", port: given.port }));
    {
      using extra = await Deno.connect({ hostname: "127.0.0.1", port: given.port });
      assert.equal(await extra.read(new Uint8Array(1)).catch(() => null), null);
    }
    assert.equal(refused, 1);
    open.pop()!.close();
    while (true) {
      const [answer] = await askTcp("127.0.0.1", given.port, QUERY).catch(() => [undefined]);
      if (answer) break;
    }
  } finally {
    for (const connection of open) connection.close();
    server.close();
  }
});

Deno.test("addresses are served as they come and go; those that stay are left alone", async () => {
  const port = freePort();
  const servers = new TunnelDns({ port, handler: mirror, onRefused() {}, onWarning() {} });
  try {
    assert.deepEqual(await servers.listen(["127.0.0.1", "::1"]), ["127.0.0.1", "::1"]);
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    for (let round = 0; round < 3; round++) {
      await servers.listen(["127.0.0.1", "::1"]);
      for (const address of ["127.0.0.1", "::1"]) {
        assert.ok(await askUdp(address, port, QUERY), `${address} over UDP`);
        assert.ok((await askTcp(address, port, QUERY))[0], `${address} over TCP`);
      }
    }
    await writeAll(connection, frame(QUERY));
    assert.ok(await readMessage(connection, new FrameReader()), "an old connection goes on");
    await servers.listen(["127.0.0.2"]);
    assert.ok(await askUdp("127.0.0.2", port, QUERY));
    assert.equal(await askUdp("127.0.0.1", port, QUERY, 150), undefined);
    await assert.rejects(askTcp("::1", port, QUERY));
  } finally {
    servers.close();
  }
});

Deno.test("one address of two is enough and the other is told; none at all is an error after three attempts", async () => {
  const warnings: string[] = [];
  const servers = new TunnelDns({
    port: freePort(),
    handler: mirror,
    onRefused() {},
    onWarning: (message) => warnings.push(message),
  });
  try {
    assert.deepEqual(await servers.listen(["127.0.0.1", "2001:db8::53"]), ["127.0.0.1"]);
    assert.equal(warnings.length, 1);
    const started = performance.now();
    await assert.rejects(servers.listen(["192.0.2.53"]), /Cannot serve DNS in the tunnel: 192\.0\.2\.53/);
    assert.ok(performance.now() - started >= 200);
  } finally {
    servers.close();
  }
});

/** A machine that opens what it is told and keeps what comes of it. */
class Recorder implements Driven {
  readonly commands: ExchangeCommand[] = [];
  readonly heard: string[] = [];
  readonly #waiters: (() => void)[] = [];

  handleAnswer(exchange: number, from: SocketAddress, bytes: Uint8Array): void {
    this.#note(`${exchange} ${from.key} ${bytes.length}`);
  }

  handleFailure(exchange: number): void {
    this.#note(`${exchange} failed`);
  }

  handleTimeout(): void {}

  pollTimeout(): undefined {}

  pollCommand(): ExchangeCommand | undefined {
    return this.commands.shift();
  }

  async until(count: number): Promise<string[]> {
    while (this.heard.length < count) await new Promise<void>((resolve) => this.#waiters.push(resolve));
    return this.heard.splice(0).sort();
  }

  #note(text: string): void {
    this.heard.push(text);
    for (const wake of this.#waiters.splice(0)) wake();
  }
}

Deno.test("exchanges bring what the server says over UDP and TCP, twice when asked twice, and refusals", async () => {
  const given = options();
  const server = await DnsServer.listen(given);
  const machine = new Recorder();
  const driver = new Driver(machine, () => {});
  const run = (...commands: ExchangeCommand[]) => driver.input(() => machine.commands.push(...commands));
  const at = (port: number) => SocketAddress.of("127.0.0.1", port)!;
  try {
    run(
      { type: "open", exchange: 1, server: at(given.port), transport: "udp", payload: QUERY },
      { type: "repeat", exchange: 1, payload: QUERY },
      { type: "open", exchange: 2, server: at(given.port), transport: "tcp", payload: QUERY },
      { type: "open", exchange: 3, server: at(freePort()), transport: "tcp", payload: QUERY },
      { type: "open", exchange: 4, server: at(given.port), transport: "tcp", payload: Uint8Array.of(0xff) },
    );
    const said = `127.0.0.1:${given.port} ${QUERY.length}`;
    assert.deepEqual(await machine.until(5), [`1 ${said}`, `1 ${said}`, `2 ${said}`, "3 failed", "4 failed"]);
    for (const exchange of [1, 2, 3, 4, 5]) run({ type: "close", exchange });
    // Closed before it was open: nothing is heard of it.
    run(
      { type: "open", exchange: 6, server: at(given.port), transport: "tcp", payload: QUERY },
      { type: "close", exchange: 6 },
      { type: "open", exchange: 7, server: at(given.port), transport: "udp", payload: QUERY },
      { type: "close", exchange: 7 },
      { type: "open", exchange: 8, server: at(given.port), transport: "udp", payload: QUERY },
    );
    assert.deepEqual(await machine.until(1), [`8 ${said}`]);
  } finally {
    driver.close();
    server.close();
  }
});
