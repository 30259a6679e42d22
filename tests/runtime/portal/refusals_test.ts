/** Every kind of answer to the upgrade, on real sockets: what is final, what is tried again, and when. */
import assert from "node:assert/strict";
import { connectPortal } from "../../../mod/portal/io/portal_io.ts";
import type { PortalError, Refusal } from "../../../mod/portal/failure.ts";
import { type Answer, ScriptedPortal } from "./scripted_portal.ts";

interface Outcome {
  readonly downs: { readonly reason: string; readonly retryIn: number; readonly refusal?: Refusal }[];
  joined: boolean;
  failure: PortalError | undefined;
}

/** Lets a gateway meet these answers until it has joined or given up. */
async function meet(
  answers: readonly Answer[],
  firstConnectTimeout = 1_500,
): Promise<Outcome & { requests: number }> {
  const portal = await ScriptedPortal.start({ answers });
  const outcome: Outcome = { downs: [], joined: false, failure: undefined };
  const { promise, resolve } = Promise.withResolvers<void>();
  const connection = connectPortal({
    apiUrl: `ws://127.0.0.1:${portal.port}/base/`,
    role: "gateway",
    dialect: "v1",
    token: "very-secret",
    tokenInQuery: true,
    id: "id",
    name: "name",
    publicKey: new Uint8Array(32),
    userAgent: "Debian/13 connlib/1.5.0",
    firstConnectTimeout,
  }, {
    onEvent: () => {},
    onWarning: () => {},
    onJoined: () => (outcome.joined = true, resolve()),
    onDown: (down) => void outcome.downs.push(down),
    onFailed: (error) => (outcome.failure = error, resolve()),
  });
  await promise;
  await connection.close();
  await portal.stop();
  for (const { reason } of outcome.downs) assert.doesNotMatch(reason, /very-secret/);
  return { ...outcome, requests: portal.requests.length };
}

const problem = (status: number, code: string): Answer => ({
  status,
  headers: { "Content-Type": "application/problem+json" },
  body: JSON.stringify({ title: "No", status, detail: `because of ${code}`, code }),
});

Deno.test("401 is final at once, with the problem's code or the plain text", async () => {
  const newer = await meet([problem(401, "invalid_token")]);
  assert.deepEqual([newer.failure?.kind, newer.failure?.code, newer.requests], [
    "unauthorized",
    "invalid_token",
    1,
  ]);
  assert.match(newer.failure!.message, /HTTP 401: because of invalid_token\. Check the token\./);
  const older = await meet([{ status: 401, body: "Missing token" }]);
  assert.match(older.failure!.message, /HTTP 401: Missing token/);
});

Deno.test("other 4xx are tried again until the limit of the first connection, and say what the portal said", async () => {
  await Promise.all([400, 402, 403, 404, 422].map(async (status) => {
    const { failure, downs, requests } = await meet([{ status, body: "name: is invalid\nid: too" }]);
    assert.equal(failure?.kind, "gave_up");
    assert.match(
      failure.message,
      new RegExp(`HTTP ${status}: name: is invalid id: too\\. Gave up after 1\\.5 s`),
    );
    assert.equal(downs[0]!.refusal?.status, status);
    assert.equal(requests, 2);
  }));
});

Deno.test("409, 429 and 5xx are waited out: a portal that comes round is joined", async () => {
  await Promise.all([409, 429, 500, 502, 503].map(async (status) => {
    const { joined, requests, downs } = await meet([
      problem(status, "wait"),
      problem(status, "wait"),
      "welcome",
    ], 100);
    assert.deepEqual([joined, requests], [true, 3]);
    assert.match(downs[0]!.reason, new RegExp(`^HTTP ${status}: because of wait$`));
  }));
});

Deno.test("Retry-After is honoured in seconds and as a date, and nonsense in it is not", async () => {
  const pauseAfter = async (value: string) => {
    const { downs } = await meet([{ status: 503, headers: { "Retry-After": value } }, "welcome"]);
    return downs[0]!.retryIn;
  };
  const date = new Date(Date.now() + 2_000).toUTCString();
  const [one, none, soon, past, ...nonsense] = await Promise.all(
    ["1", "0", date, "Thu, 01 Jan 1970 00:00:00 GMT", "soon", "-5", "1e9", "9".repeat(30)].map(pauseAfter),
  );
  assert.deepEqual([one, none, past], [1_000, 0, 0]);
  assert.ok(soon! >= 0 && soon! <= 3_000, `${soon}`);
  for (const pause of nonsense) assert.ok(pause >= 250 && pause <= 750, `${pause}`);
});

Deno.test("redirects, garbage and closed connections are tried again", async () => {
  const answers: Answer[] = [
    { status: 302, headers: { Location: "http://127.0.0.1:1/" } },
    { status: 200, body: "<html>a captive portal</html>" },
    { text: "SSH-2.0-OpenSSH\r\n\r\n" },
    "reset",
    "welcome",
  ];
  const { joined, downs } = await meet(answers, 10_000);
  assert.ok(joined);
  assert.match(downs[0]!.reason, /^HTTP 302/);
  assert.match(downs[1]!.reason, /^HTTP 200: <html>a captive portal<\/html>$/);
  assert.equal(downs.length, 4);
});

Deno.test("a long or hostile body is cut and cleaned", async () => {
  const { downs } = await meet([{ status: 503, body: `\u001b[31m${"x".repeat(100_000)}` }, "welcome"]);
  assert.ok(downs[0]!.reason.length < 250);
  assert.ok(!downs[0]!.reason.includes("\u001b"));
});
