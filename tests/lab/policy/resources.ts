/** Resources of the policy scenarios, and what they can tell about themselves. */
import { type Host, POLICY_HEAD, type Product } from "../product.ts";

/** A resource of the policy file; without filters everything is allowed. */
export function resource(name: string, address: string, filters?: readonly string[]): string {
  return `
[[resource]]
name = "${name}"
address = "${address}"
allow = ["client"]
${filters === undefined ? "" : `filters = ${JSON.stringify(filters)}`}
`;
}

export function policyWith(...resources: readonly string[]): string {
  return POLICY_HEAD + resources.join("");
}

/** A counter of the gateway, from its /metrics. */
export async function counter(product: Product, name: string): Promise<number> {
  const text = await product.internet.host("gateway").check([
    "curl",
    "-sS",
    "--max-time",
    "5",
    "http://127.0.0.1:8080/metrics",
  ]);
  const match = new RegExp(`^postern_${name}_total (\\S+)$`, "m").exec(text);
  if (!match) throw new Error(`The gateway has no counter ${name}.`);
  return Number(match[1]);
}

/** By how much a counter of the gateway grows while `body` runs. */
export async function growth(product: Product, name: string, body: () => Promise<unknown>): Promise<number> {
  const before = await counter(product, name);
  await body();
  return await counter(product, name) - before;
}

/** Counts what reaches a host, by an nftables match: `ip protocol gre`. */
export async function watch(host: Host, match: string): Promise<{ packets(): Promise<number> }> {
  const table = `watch${crypto.randomUUID().slice(0, 8)}`;
  await host.nft(`table inet ${table} {
  chain arrivals { type filter hook prerouting priority -300; policy accept;
    ${match} counter
  }
}
`);
  return {
    async packets() {
      const text = await host.check(["nft", "list", "table", "inet", table]);
      return Number(/counter packets (\d+)/.exec(text)![1]);
    },
  };
}

/** Serves an endless download at port 8080 and, at 7000, the number of bytes received once the sender has closed. */
export function startServers(host: Host): void {
  const code = `
    const block = new Uint8Array(65536);
    Deno.serve({ hostname: "::", port: 8080, onListen() {} }, () =>
      new Response(new ReadableStream({ pull: (controller) => controller.enqueue(block) })));
    for await (const connection of Deno.listen({ hostname: "::", port: 7000 })) {
      (async () => {
        let received = 0;
        const buffer = new Uint8Array(65536);
        for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) received += n;
        await connection.write(new TextEncoder().encode(String(received)));
        connection.close();
      })().catch(() => {});
    }`;
  host.start([Deno.execPath(), "eval", code], { label: "servers" });
}

/** Sends so many bytes to port 7000, closes its side and returns what the server says: a half-closed connection. */
export async function sendAndClose(host: Host, address: string, bytes: number): Promise<string> {
  const code = `
    const connection = await Deno.connect({ hostname: "${address}", port: 7000 });
    const block = new Uint8Array(10000);
    for (let left = ${bytes}; left > 0; ) left -= await connection.write(block.subarray(0, left));
    await connection.closeWrite();
    console.log(await new Response(connection.readable).text());`;
  return (await host.check([Deno.execPath(), "eval", code])).trim();
}
