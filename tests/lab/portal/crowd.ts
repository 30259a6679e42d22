/**
 * Many clients in one process: `crowd.ts <portal url> <file with one token per line>`. Each holds its own link to the
 * portal, by the product's own code. Prints `joined <number>` whenever that number has changed, at most ten times a
 * second, and `failed <why>` for each that gave up.
 */
import { connectPortal } from "../../../mod/portal/io/portal_io.ts";

const [url, file] = Deno.args as [string, string];
const PRINT_MS = 100;

const crowd = Deno.readTextFileSync(file).trim().split("\n").map((token, i) =>
  connectPortal({
    role: "client",
    dialect: i % 2 === 0 ? "v1" : "v2",
    apiUrl: url,
    token,
    tokenInQuery: true,
    id: `crowd-${i}`,
    name: `crowd ${i}`,
    userAgent: "Debian/13 connlib/1.5.0 (x86_64; 6.12.30)",
    publicKey: crypto.getRandomValues(new Uint8Array(32)),
  }, {
    onEvent: () => {},
    onJoined: () => {},
    onDown: () => {},
    onWarning: (text) => console.log(`warning ${text}`),
    onFailed: (error) => console.log(`failed ${error.message}`),
  })
);

let printed = -1;
setInterval(() => {
  const joined = crowd.filter((one) => one.isJoined).length;
  if (joined !== printed) console.log(`joined ${printed = joined}`);
}, PRINT_MS);
