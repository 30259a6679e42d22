import { deepEqual, equal, ok } from "node:assert/strict";
import { AttributeType as A, longTermKey, Method, verifyIntegrity } from "../../mod/stun/mod.ts";
import { hex } from "../stun/hex.ts";
import { KEY, PEER, REALM, RELAYED, ScriptedRelay, USERNAME } from "./scripted_relay.ts";

const FOREIGN_KEY = longTermKey(USERNAME, REALM, "another password");

/** Through the challenges of a relay that follows RFC 8656 to the letter. */
function plain(): ScriptedRelay {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.error(relay.one(Method.ALLOCATE), 400, [], null);
  relay.challenge(relay.one(Method.ALLOCATE), "nonce-1", 401, null);
  relay.allocateSuccess(relay.one(Method.ALLOCATE), [RELAYED.v4]);
  return relay;
}

Deno.test("answers that are unsigned or signed with another key are ignored and the request stays pending", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.challenge(relay.one(Method.ALLOCATE), "nonce");
  const request = relay.one(Method.ALLOCATE);
  const granted = [[A.XOR_RELAYED_ADDRESS, RELAYED.v4], [A.LIFETIME, 600]] as const;
  equal(relay.answer(request, "success", granted, null), false);
  equal(relay.answer(request, "success", granted, FOREIGN_KEY), false);
  for (const code of [400, 401, 420, 437, 438, 508]) {
    equal(relay.challenge(request, "other", code, null), false, String(code));
    equal(relay.challenge(request, "other", code, FOREIGN_KEY), false, String(code));
  }
  equal(relay.pass(1000).length, 1, "tried again");
  equal(relay.allocation.freed, undefined);
});

Deno.test("a plain relay is asked without credential for its challenge, then with it", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  equal(relay.error(relay.one(Method.ALLOCATE), 400, [], null), true);
  const bare = relay.one(Method.ALLOCATE);
  ok(!bare.hasIntegrity);
  deepEqual([bare.username, bare.realm, bare.nonce], [undefined, undefined, undefined]);
  equal(relay.challenge(bare, "nonce-1", 401, null), true);
  const request = relay.one(Method.ALLOCATE);
  equal(request.nonce, "nonce-1");
  equal(request.additionalFamily, 6);
  ok(hex(request.raw).includes("8000000402000000"), "by the RFC's number");
  ok(hex(request.raw).includes("8032000402000000"), "and by coturn's");
  ok(verifyIntegrity(request, KEY));
  equal(relay.allocateSuccess(request, [RELAYED.v4]), true);
  equal(relay.allocation.relayedAddress(4)?.key, RELAYED.v4.key);
});

Deno.test("a plain relay may also challenge the first request at once", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.challenge(relay.one(Method.ALLOCATE), "nonce-1", 401, null);
  equal(relay.one(Method.ALLOCATE).nonce, "nonce-1");
});

Deno.test("a plain relay's stale nonce is believed unsigned, since it never signs a challenge", () => {
  const relay = plain();
  relay.allocation.bind(PEER.v4, relay.now);
  equal(relay.challenge(relay.one(Method.CHANNEL_BIND), "nonce-2", 438, null), true);
  equal(relay.one(Method.CHANNEL_BIND).nonce, "nonce-2");
});

Deno.test("everything else a plain relay says must be signed", () => {
  const relay = plain();
  relay.allocation.bind(PEER.v4, relay.now);
  const request = relay.one(Method.CHANNEL_BIND);
  equal(relay.answer(request, "success", [], null), false);
  for (const code of [400, 403, 420, 437, 508]) equal(relay.error(request, code, [], null), false);
  equal(relay.error(request, 403), true);
});

Deno.test("an unsigned success is not believed because it has the error code of a challenge", () => {
  const fresh = new ScriptedRelay("v4");
  fresh.bindingSuccess(fresh.one(Method.BINDING));
  const request = fresh.one(Method.ALLOCATE);
  for (const code of [400, 401, 438]) {
    const forged = fresh.answer(request, "success", [
      [A.ERROR_CODE, { code, reason: "" }],
      [A.XOR_RELAYED_ADDRESS, RELAYED.v4],
      [A.LIFETIME, 600],
    ], null);
    equal(forged, false, String(code));
  }
  equal(fresh.allocation.relayedAddress(4), undefined);
  const relay = plain();
  relay.allocation.refresh(relay.now);
  const code = { code: 438, reason: "" };
  equal(
    relay.answer(relay.one(Method.REFRESH), "success", [[A.ERROR_CODE, code], [A.LIFETIME, 0]], null),
    false,
  );
  equal(relay.allocation.relayedAddress(4)?.key, RELAYED.v4.key);
});

Deno.test("a plain relay gets the REFRESH of RFC 8656, without ALLOCATE's attributes", () => {
  const relay = plain();
  relay.allocation.refresh(relay.now);
  const request = relay.one(Method.REFRESH);
  equal(request.requestedTransport, undefined);
  equal(request.additionalFamily, undefined);
});

Deno.test("a plain relay's 401 to a request with nonce means that the credential is wrong", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.challenge(relay.one(Method.ALLOCATE), "nonce-1", 401, null);
  relay.challenge(relay.one(Method.ALLOCATE), "nonce-2", 401, null);
  relay.sent();
  equal(relay.allocation.freed, "authentication error");
});

Deno.test("a relay that once signed a challenge can't become plain", () => {
  const relay = new ScriptedRelay("v4").allocate([RELAYED.v4]);
  relay.allocation.bind(PEER.v4, relay.now);
  const request = relay.one(Method.CHANNEL_BIND);
  equal(relay.challenge(request, "forged", 438, null), false);
  equal(relay.challenge(request, "forged", 401, null), false);
  equal(relay.error(request, 400, [], null), false);
  equal(relay.allocation.freed, undefined);
});

Deno.test("a forged unsigned refusal at the start doesn't keep a signed relay from being one", () => {
  const relay = new ScriptedRelay("v4");
  relay.bindingSuccess(relay.one(Method.BINDING));
  relay.error(relay.one(Method.ALLOCATE), 400, [], null);
  relay.challenge(relay.one(Method.ALLOCATE), "nonce-1", 401, null);
  relay.challenge(relay.one(Method.ALLOCATE), "nonce-2", 438);
  relay.allocateSuccess(relay.one(Method.ALLOCATE), [RELAYED.v4]);
  relay.allocation.bind(PEER.v4, relay.now);
  equal(relay.challenge(relay.one(Method.CHANNEL_BIND), "forged", 438, null), false);
});
