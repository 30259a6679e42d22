import assert from "node:assert/strict";
import fc from "fast-check";
import { callbackUrl, deviceRequest } from "../../../../mod/embedded/portal/sign_in/device_request.ts";

const NONCE = "ab".repeat(32), STATE = "cd".repeat(32);
const read = (query: string) => deviceRequest(new URLSearchParams(query));

Deno.test("both generations of clients say what they are, with nonce and state", () => {
  for (const as of ["client", "gui-client"]) {
    assert.deepEqual(read(`as=${as}&nonce=${NONCE}&state=${STATE}`), {
      kind: "app",
      nonce: NONCE,
      state: STATE,
    });
  }
  assert.deepEqual(read("as=headless-client"), { kind: "headless" });
  assert.equal(read(""), undefined);
  assert.equal(read("next=admin"), undefined);
});

Deno.test("a nonce or state that is missing, doubled, too short or no hex is malformed", () => {
  for (
    const query of [
      "as=client",
      `as=client&nonce=${NONCE}`,
      `as=client&state=${STATE}`,
      `as=client&nonce=${NONCE}&nonce=${NONCE}&state=${STATE}`,
      `as=client&nonce=${NONCE}&state=${STATE}&state=${STATE}`,
      `as=client&nonce=${NONCE.slice(1)}&state=${STATE}`,
      `as=client&nonce=${NONCE}0&state=${STATE}`,
      `as=client&nonce=${NONCE.slice(1)}g&state=${STATE}`,
      `as=client&nonce=${NONCE}%0a&state=${STATE}`,
      `as=client&nonce=&state=`,
      `as=&nonce=${NONCE}&state=${STATE}`,
      `as=gateway&nonce=${NONCE}&state=${STATE}`,
      `as=client&as=gui-client&nonce=${NONCE}&state=${STATE}`,
    ]
  ) assert.equal(read(query), "malformed", query);
});

Deno.test("the callback has each parameter exactly once, whatever the names contain (property)", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1 });
  fc.assert(fc.property(text, text, text, (accountSlug, accountName, actorName) => {
    const fragment = ".Zm9v-_", providerId = "password";
    const url = callbackUrl({ accountSlug, accountName, actorName, fragment, providerId, state: STATE });
    assert.ok(url.startsWith("firezone-fd0020211111://handle_client_sign_in_callback?"));
    const parsed = new URL(url);
    assert.deepEqual([parsed.host, parsed.pathname, parsed.hash], ["handle_client_sign_in_callback", "", ""]);
    assert.deepEqual([...parsed.searchParams], [
      ["account_slug", accountSlug],
      ["account_name", accountName],
      ["actor_name", actorName],
      ["fragment", fragment],
      ["identity_provider_identifier", providerId],
      ["state", STATE],
    ]);
  }));
});
