import assert from "node:assert/strict";
import { sha256 } from "@noble/hashes/sha2.js";
import { formatIp, parseIp, SocketAddress } from "../../../mod/packet/address.ts";
import { ingestToken } from "../../../mod/embedded/portal/core/ingest_token.ts";
import { pairIceCredentials, pairPresharedKey } from "../../../mod/embedded/portal/core/pair_credentials.ts";
import { relayId } from "../../../mod/embedded/portal/policy/policy.ts";
import { goneRelays, known, relaysFor } from "../../../mod/embedded/portal/core/relay_list.ts";
import { chooseOffset, tunnelIpv4, tunnelIpv6 } from "../../../mod/embedded/portal/core/tunnel_addresses.ts";
import { formatKey } from "../../../mod/portal/key.ts";
import { CLIENT_ID, CLIENT_KEY, GATEWAY_ID, GATEWAY_KEY, PRESHARED_KEY } from "../../portal/support.ts";

const STAMP_SECRET = "ad7c7480a51de6bef217f83628c5917f83e717c012e25f302bd2ed1df109a782";
const client = { id: CLIENT_ID, publicKey: CLIENT_KEY };
const gateway = { id: GATEWAY_ID, publicKey: GATEWAY_KEY };
const text = (value: string) => new TextEncoder().encode(value);

Deno.test("ICE credentials of a pair are the vectors'", () => {
  assert.deepEqual(pairIceCredentials(client, gateway), {
    client: { username: "zbsy", password: "xxli47zshbmu3ktnzxwx2g" },
    gateway: { username: "4w4b", password: "puzxwigc5sygzlkdlz3etq" },
  });
  const key = (from: number) => formatKey(Uint8Array.from({ length: 32 }, (_, i) => from + i));
  assert.deepEqual(
    pairIceCredentials(
      { id: "11111111-1111-4111-8111-111111111111", publicKey: key(0) },
      { id: "22222222-2222-4222-8222-222222222222", publicKey: key(32) },
    ),
    {
      client: { username: "w7up", password: "ksqwm66pilnb7skdwwfw3r" },
      gateway: { username: "kwe6", password: "mzkrj52x5h5ebrfdsh5iyq" },
    },
  );
});

Deno.test("the preshared key of a pair is the vector's", () => {
  const base = (who: string) => sha256(text(`${who} psk base`));
  assert.equal(pairPresharedKey(client, base("client"), gateway, base("gateway")), PRESHARED_KEY);
});

Deno.test("a relay's id is the vector's", () => {
  assert.equal(relayId(STAMP_SECRET), "493a8daa-bb52-4ce5-8014-b7ddd7b6ffe3");
});

Deno.test("a dual-stack relay is two adjacent entries with one id and credentials that hold for the device's key", () => {
  const relay = {
    stampSecret: STAMP_SECRET,
    v4: SocketAddress.parse("203.0.113.10:3478")!,
    v6: SocketAddress.parse("[2001:db8::10]:3478")!,
  };
  const entries = relaysFor(gateway, [known(relay)], 1761004800);
  assert.deepEqual(entries.map((one) => one.addr), ["203.0.113.10:3478", "[2001:db8::10]:3478"]);
  for (const entry of entries) {
    assert.equal(entry.username, "1761004800:kB8gD4KFbA5XSOXCQW+7SqIFp6Rf6vtEPQY4WVvUe9s");
    assert.equal(entry.password, "4sW8ucHJlGcXYf78HZMzJtLGAsqWqx4bHSbVHUDd+fs");
    assert.equal(entry.id, relayId(STAMP_SECRET));
    assert.equal(entry.expires_at, 1761004800);
  }
});

Deno.test("of many relays a device gets two, and keeps them when others come and go", () => {
  const relay = (n: number) => ({
    stampSecret: `secret of relay ${n}`,
    v4: SocketAddress.of(`192.0.2.${n}`, 3478)!,
  });
  const relays = Array.from({ length: 10 }, (_, n) => relay(n + 1));
  const chosen = relaysFor(client, relays.map(known), 1);
  assert.equal(chosen.length, 2);
  const others = relays.filter((one) => !chosen.some((entry) => entry.addr === one.v4.key));
  assert.deepEqual(relaysFor(client, relays.filter((one) => one !== others[0]).map(known), 1), chosen);
  assert.deepEqual(goneRelays(chosen, chosen), []);
  assert.deepEqual(goneRelays(chosen, chosen.slice(1)), [chosen[0]!.id]);
  assert.deepEqual(goneRelays(chosen, [{ ...chosen[0]!, password: "other" }, chosen[1]!]), [chosen[0]!.id]);
});

Deno.test("tunnel addresses share one offset and are canonical text in the device ranges", () => {
  assert.deepEqual([tunnelIpv4(0x60c22), tunnelIpv6(0x60c22)], ["100.70.12.34", "fd00:2021:1111::6:c22"]);
  assert.deepEqual([tunnelIpv4(0x709), tunnelIpv6(0x709)], ["100.64.7.9", "fd00:2021:1111::709"]);
  assert.deepEqual([tunnelIpv4((1 << 21) - 1), tunnelIpv6((1 << 21) - 1)], [
    "100.95.255.255",
    "fd00:2021:1111::1f:ffff",
  ]);
  for (const offset of [2, 0xffff, 0x10000, 0x1ffffe]) {
    assert.equal(formatIp(parseIp(tunnelIpv6(offset))!), tunnelIpv6(offset));
  }
});

Deno.test("a device keeps its offset; a taken one is passed by, forward and then backward, until none is left", () => {
  const first = chooseOffset("a", () => false)!;
  assert.equal(chooseOffset("a", () => false), first);
  assert.equal(chooseOffset("a", (offset) => offset === first), first + 1);
  assert.equal(chooseOffset("a", (offset) => offset >= first), first - 1);
  assert.equal(chooseOffset("a", (offset) => offset > 2), 2);
  assert.equal(chooseOffset("a", (offset) => offset < (1 << 21) - 2), (1 << 21) - 2);
  assert.equal(chooseOffset("a", () => true), undefined);
});

Deno.test("an ingest token is an HS256 JWT with every claim that newer devices require", () => {
  const token = ingestToken({
    role: "initiator",
    accountId: "a",
    clientId: CLIENT_ID,
    gatewayId: GATEWAY_ID,
    authorizationId: "b",
    policyId: "c",
    resourceId: "d",
    resourceName: "Intranet",
    resourceAddress: "10.0.0.0/8",
    actorId: "e",
    actorName: "Jane Doe",
    authorizedAt: 1753347600,
    expiresAt: 1753952400,
  }, text("example-key"));
  const [header, payload, signature, ...rest] = token.split(".");
  assert.equal(rest.length, 0);
  assert.match(token, /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$/);
  const json = (part: string) =>
    JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(part, { alphabet: "base64url" })));
  assert.equal(json(header!).alg, "HS256");
  const claims = json(payload!);
  assert.deepEqual(Object.keys(claims).sort(), [
    "account_id",
    "authorization_expires_at",
    "authorized_at",
    "exp",
    "iat",
    "initiator_actor_id",
    "initiator_actor_name",
    "initiator_device_id",
    "policy_authorization_id",
    "policy_id",
    "resource_address",
    "resource_id",
    "resource_name",
    "responder_device_id",
    "role",
    "uploads_enabled",
  ]);
  assert.equal(claims.exp, 1756544400);
  assert.equal(claims.uploads_enabled, false);
  assert.equal(claims.authorized_at, "2025-07-24T09:00:00.000Z");
  assert.ok(signature);
});
