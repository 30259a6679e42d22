import assert from "node:assert/strict";
import { LocalCandidates } from "../../mod/node/local_candidates.ts";
import { SocketAddress } from "../../mod/packet/mod.ts";

const at = (text: string) => SocketAddress.parse(text)!;
const BASE = at("192.168.1.2:52625"), BASE6 = at("[2001:db8::2]:52625");

Deno.test("hosts accumulate and are news once; the newest server-reflexive address of a family wins", () => {
  const candidates = new LocalCandidates();
  assert.ok(candidates.addHost(BASE));
  assert.equal(candidates.addHost(BASE), undefined);
  assert.ok(candidates.addHost(BASE6));
  assert.ok(candidates.addServerReflexive(at("203.0.113.1:4000"), BASE));
  assert.equal(candidates.addServerReflexive(at("203.0.113.1:4000"), BASE), undefined);
  assert.ok(candidates.addServerReflexive(at("[2001:db8::2]:52625"), BASE6));
  assert.ok(candidates.addServerReflexive(at("203.0.113.1:4001"), BASE));
  const keys = candidates.all().map(({ kind, address }) => `${kind} ${address.key}`);
  assert.deepEqual(keys, [
    "host 192.168.1.2:52625",
    "host [2001:db8::2]:52625",
    "srflx 203.0.113.1:4001",
    "srflx [2001:db8::2]:52625",
  ]);
});

Deno.test("a host that changes its address all the time keeps the latest sixteen", () => {
  const candidates = new LocalCandidates();
  for (let i = 1; i <= 40; i++) candidates.addHost(at(`192.168.1.${i}:52625`));
  const hosts = candidates.all().map(({ address }) => address.ip);
  assert.equal(hosts.length, 16);
  assert.equal(hosts.at(-1), "192.168.1.40");
});
