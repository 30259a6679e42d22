/**
 * A portal gone wrong: `hostile.ts <port>` answers each connection on the port with the next of the ways in which a
 * portal, or whatever stands in front of it, fails in practice. Prints `served <way>` for each.
 */
const [port] = Deno.args;

const http = (status: string, body = "", headers: Record<string, string> = {}) =>
  [
    `HTTP/1.1 ${status}`,
    ...Object.entries({ ...headers, "content-length": String(body.length), connection: "close" })
      .map(([name, value]) => `${name}: ${value}`),
    "",
    body,
  ].join("\r\n");

/** Never 401: that is an answer, and the end. */
const WAYS: Readonly<Record<string, string>> = {
  "too many requests": http("429 Too Many Requests", "slow down", { "retry-after": "1" }),
  "unavailable": http("503 Service Unavailable", `{"code":"rate_limit"}`, { "retry-after": "1" }),
  "broken gateway": http("502 Bad Gateway", "<html>nginx</html>"),
  "forbidden": http("403 Forbidden", "captive portal"),
  "a page": http("200 OK", "<html>Welcome to the hotel</html>"),
  "a redirect": http("302 Found", "", { location: "https://hotel.invalid/" }),
  "nothing": "",
  "noise": "\x00\x01\x02 this is not HTTP at all\r\n\r\n",
  "half an answer": "HTTP/1.1 101 Switching Protocols\r\nupgrade: webso",
};

let next = 0;
const names = Object.keys(WAYS);
for await (const connection of Deno.listen({ hostname: "0.0.0.0", port: Number(port) })) {
  void answer(connection, names[next++ % names.length]!);
}

async function answer(connection: Deno.TcpConn, way: string): Promise<void> {
  try {
    await connection.read(new Uint8Array(4096));
    await connection.write(new TextEncoder().encode(WAYS[way]));
    console.log(`served ${way}`);
    connection.close();
  } catch {
    // The device was faster.
  }
}
