import assert from "node:assert/strict";
import { Credentials } from "../../../../mod/embedded/portal/sign_in/credentials.ts";
import { totpCode } from "../../../../mod/embedded/portal/sign_in/totp.ts";
import { seededRandom } from "../../../portal/support.ts";
import { PageWorld, PASSWORD, user } from "./sign_in_world.ts";

const SECRET = new TextEncoder().encode("12345678901234567890");
const HOME = "198.51.100.7", ELSEWHERE = "203.0.113.66";

function setUp() {
  const world = new PageWorld(
    user("anna"),
    user("carl", { totpSecret: SECRET }),
    user("dora", { expiresAt: 1 }),
  );
  const credentials = new Credentials({
    policy: () => world.policy,
    unixNow: () => world.unixNow(),
    random: seededRandom(),
  });
  const tryPassword = async (name: string, password: string, ip = HOME) =>
    (await credentials.checkPassword(name, password, ip, "browser")).type;
  const ticket = async (ip = HOME, browser = "browser") => {
    const outcome = await credentials.checkPassword("carl", PASSWORD, ip, browser);
    assert.equal(outcome.type, "code");
    return outcome.type === "code" ? outcome.ticket : "";
  };
  const code = (away = 0) => totpCode(SECRET, Math.floor(world.unixNow() / 30) + away);
  return { world, credentials, tryPassword, ticket, code };
}

Deno.test("the right password is one, and only of that user", async () => {
  const { tryPassword } = setUp();
  assert.equal(await tryPassword("anna", PASSWORD), "user");
  assert.equal(await tryPassword("anna", "wrong"), "wrong");
  assert.equal(await tryPassword("Anna", PASSWORD), "wrong");
});

Deno.test("unknown, expired and password-less users get the answer of a wrong password, after a hash", async () => {
  const { world, tryPassword } = setUp();
  world.policy = {
    ...world.policy,
    actors: [...world.policy.actors, user("emil", { passwordHash: undefined })],
  };
  for (const name of ["nobody", "dora", "emil", ""]) {
    const start = performance.now();
    assert.equal(await tryPassword(name, PASSWORD), "wrong", name);
    assert.ok(performance.now() - start > 10, "a hash was computed");
  }
});

Deno.test("failures slow an account down, without locking it: after seconds there is another try", async () => {
  const { world, tryPassword } = setUp();
  for (let i = 0; i < 10; i++) assert.equal(await tryPassword("anna", "wrong", `192.0.2.${i}`), "wrong");
  assert.equal(await tryPassword("anna", PASSWORD, ELSEWHERE), "wait");
  world.wait(20);
  assert.equal(await tryPassword("anna", PASSWORD, ELSEWHERE), "user");
});

Deno.test("an attacker who uses up an account's tries doesn't keep its owner out of where he signed in before", async () => {
  const { world, tryPassword } = setUp();
  assert.equal(await tryPassword("anna", PASSWORD, HOME), "user");
  world.wait(86_400);
  for (let i = 0; i < 100; i++) await tryPassword("anna", "wrong", `192.0.2.${i}`);
  assert.equal(await tryPassword("anna", PASSWORD, ELSEWHERE), "wait");
  assert.equal(await tryPassword("anna", "typo", HOME), "wrong");
  assert.equal(await tryPassword("anna", PASSWORD, HOME), "user");
});

Deno.test("failures slow a source down whatever names it tries; successes of an office cost nothing", async () => {
  const { world, credentials, tryPassword } = setUp();
  for (let i = 0; i < 100; i++) assert.equal(await tryPassword("anna", PASSWORD), "user");
  const names = Array.from({ length: 20 }, (_, i) => user(`user-${i}`));
  world.policy = { ...world.policy, actors: [...world.policy.actors, ...names] };
  for (const { name } of names) assert.equal(await tryPassword(name, "wrong"), "wrong");
  assert.deepEqual(await credentials.checkPassword("user-1", PASSWORD, HOME, "b"), {
    type: "wait",
    seconds: 5,
    busy: false,
  });
  assert.equal(await tryPassword("user-1", PASSWORD, ELSEWHERE), "user");
  world.wait(5);
  assert.equal(await tryPassword("user-1", PASSWORD), "user");
});

Deno.test("a thousand parallel attempts: a few are hashed, the rest is told to come back; who is known gets in", async () => {
  const { world, credentials, tryPassword } = setUp();
  assert.equal(await tryPassword("anna", PASSWORD), "user");
  const names = Array.from({ length: 1000 }, (_, i) => user(`user-${i}`));
  world.policy = { ...world.policy, actors: [...world.policy.actors, ...names] };
  const flood = Promise.all(
    names.map(({ name }, i) => credentials.checkPassword(name, "wrong", `10.0.${i >> 8}.${i & 255}`, "b")),
  );
  assert.equal(await tryPassword("anna", PASSWORD, ELSEWHERE), "wait");
  assert.equal(await tryPassword("anna", PASSWORD, HOME), "user", "in the midst of it");
  const outcomes = await flood;
  assert.equal(outcomes.filter(({ type }) => type === "wrong").length, 18);
  const waiting = outcomes.filter((one) => one.type === "wait");
  assert.equal(waiting.length, 982);
  assert.ok(waiting.every((one) => one.busy && one.seconds > 0));
  assert.equal(await tryPassword("anna", PASSWORD, ELSEWHERE), "user", "and it passes");
});

Deno.test("a user with one-time codes is asked for one, and gets in with it once", async () => {
  const { world, credentials, ticket, code } = setUp();
  const first = await ticket(), second = await ticket();
  assert.deepEqual(credentials.checkCode(first, "000000", HOME, "browser"), { type: "wrong", name: "carl" });
  assert.equal(credentials.checkCode(first, code(), HOME, "browser").type, "user");
  assert.deepEqual(
    credentials.checkCode(first, code(1), HOME, "browser"),
    { type: "again" },
    "a ticket is good once",
  );
  assert.deepEqual(
    credentials.checkCode(second, code(), HOME, "browser"),
    { type: "wrong", name: "carl" },
    "a code is good once",
  );
  world.wait(30);
  assert.equal(credentials.checkCode(second, code(), HOME, "browser").type, "user");
});

Deno.test("a ticket is of one browser, for five minutes, and of the password that it was given for", async () => {
  const { world, credentials, ticket, code } = setUp();
  const again = { type: "again" };
  assert.deepEqual(credentials.checkCode("", code(), HOME, "browser"), again);
  assert.deepEqual(credentials.checkCode(await ticket(), code(), HOME, "another browser"), again);
  const late = await ticket();
  world.wait(300);
  assert.deepEqual(credentials.checkCode(late, code(), HOME, "browser"), again);
  const stale = await ticket();
  world.policy = { ...world.policy, actors: [user("carl", { totpSecret: SECRET, passwordHash: "another" })] };
  assert.deepEqual(credentials.checkCode(stale, code(), HOME, "browser"), again);
});

Deno.test("codes can't be guessed: five tries, then one every two minutes, also with new tickets", async () => {
  const { world, credentials, ticket, code } = setUp();
  for (let i = 0; i < 5; i++) {
    assert.equal(credentials.checkCode(await ticket(), "000000", HOME, "browser").type, "wrong");
  }
  const next = await ticket();
  assert.deepEqual(credentials.checkCode(next, code(), HOME, "browser"), {
    type: "wait",
    seconds: 120,
    busy: false,
  });
  world.wait(120);
  assert.equal(credentials.checkCode(next, code(), HOME, "browser").type, "user");
});

Deno.test("tickets are bounded: the oldest go", async () => {
  const { credentials, ticket, code } = setUp();
  const first = await ticket();
  for (let i = 0; i < 999; i++) await ticket();
  assert.deepEqual(credentials.checkCode(first, "000000", HOME, "browser"), { type: "wrong", name: "carl" });
  await ticket();
  assert.deepEqual(credentials.checkCode(first, code(), HOME, "browser"), { type: "again" });
});
