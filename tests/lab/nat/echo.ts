/**
 * Both ends of a TCP connection that shows its own health: `echo.ts serve <port>` sends everything back,
 * `echo.ts ask <host> <port>` writes a numbered line every 20 ms and expects all of them back, in order.
 *
 * The asking end prints `count <lines>` ten times a second, `gap <unix ms of its end> <ms>` after every pause of more
 * than 250 ms, and `broken <why>` when the connection ends.
 */
const INTERVAL_MS = 20, GAP_MS = 250, COUNT_MS = 100;
const PADDING = ".".repeat(500);

async function serve(port: number): Promise<void> {
  for await (const connection of Deno.listen({ hostname: "::", port })) {
    connection.readable.pipeTo(connection.writable).catch(() => {});
  }
}

async function ask(hostname: string, port: number): Promise<void> {
  const connection = await Deno.connect({ hostname, port });
  console.log("connected");
  let sent = 0, received = 0, last = Date.now(), printed = 0;
  const writer = connection.writable.getWriter();
  setInterval(() => {
    // A blocked connection takes no more than the buffers hold: what is due then goes out later.
    if ((writer.desiredSize ?? 0) > 0) writer.write(new TextEncoder().encode(`${sent++}${PADDING}\n`));
  }, INTERVAL_MS);
  let rest = "";
  for await (const chunk of connection.readable.pipeThrough(new TextDecoderStream())) {
    const now = Date.now();
    if (now - last > GAP_MS) console.log(`gap ${now} ${now - last}`);
    last = now;
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      if (line !== `${received}${PADDING}`) {
        throw new Error(`line ${received} came back as ${line.slice(0, 20)}`);
      }
      received++;
    }
    if (now - printed < COUNT_MS) continue;
    printed = now;
    console.log(`count ${received}`);
  }
  throw new Error("the other end closed it");
}

const [mode, ...args] = Deno.args;
try {
  await (mode === "serve" ? serve(Number(args[0])) : ask(args[0]!, Number(args[1])));
} catch (error) {
  console.log(`broken ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
