import assert from "node:assert/strict";
import { Directory } from "../../mod/node/directory.ts";
import {
  AttributeType as A,
  decodeStun,
  encodeStun,
  Method,
  shortTermKey,
  transactionKey,
} from "../../mod/stun/mod.ts";
import { Couple } from "./couple.ts";

function check(username: string, password: string) {
  return decodeStun(encodeStun({
    class: "request",
    method: Method.BINDING,
    transactionId: new Uint8Array(12),
    attributes: [[A.USERNAME, username], [A.ICE_CONTROLLING, 1n], [A.PRIORITY, 1]],
    integrityKey: shortTermKey(password),
  }))!;
}

Deno.test("a connection is found by peer, receiver index, public key and user name fragment, until it is removed", () => {
  const directory = new Directory(), couple = new Couple(), { gateway } = couple;
  const { publicKey, local, remote } = gateway.request;
  const find = () => [
    directory.get("client"),
    directory.byIndex(gateway.tunnel.index),
    directory.byPublicKey(publicKey.slice()),
    directory.byStun(check(`${local.ufrag}:${remote.ufrag}`, local.password)),
  ];
  assert.deepEqual(find(), [undefined, undefined, undefined, undefined]);
  directory.add(gateway);
  assert.ok(find().every((found) => found === gateway));
  directory.remove(gateway);
  assert.deepEqual(find(), [undefined, undefined, undefined, undefined]);
});

Deno.test("connections may share a fragment of four characters: the integrity decides", () => {
  const directory = new Directory(), couple = new Couple();
  const { local, remote } = couple.requests.gateway;
  const passwords = ["first-password-0000000", "second-password-000000", "third-password-0000000"];
  const connections = passwords.map((password, i) =>
    couple.make("gateway", { peerId: `peer-${i}`, local: { ...local, password } })
  );
  for (const connection of connections) directory.add(connection);
  const username = `${local.ufrag}:${remote.ufrag}`;
  passwords.forEach((password, i) =>
    assert.equal(directory.byStun(check(username, password)), connections[i])
  );
  directory.remove(connections[1]!);
  assert.equal(directory.byStun(check(username, passwords[1]!)), undefined);
  assert.equal(directory.byStun(check(username, passwords[2]!)), connections[2]);
});

Deno.test("a key that another connection took over is not forgotten with the old one", () => {
  const directory = new Directory(), couple = new Couple();
  const older = couple.make("gateway", { peerId: "older" }),
    newer = couple.make("gateway", { peerId: "newer" });
  directory.add(older);
  directory.add(newer);
  directory.remove(older);
  assert.equal(directory.byPublicKey(couple.requests.gateway.publicKey), newer);
});

Deno.test("answers find their connection by transaction for ten seconds, and not beyond its end", () => {
  const directory = new Directory(), couple = new Couple().introduce(), { gateway } = couple;
  directory.add(gateway);
  gateway.drive(couple.now);
  const { transactionKey: key, payload, remote } = gateway.outgoing.shift()!;
  const { transactionId } = decodeStun(payload)!;
  assert.equal(key, transactionKey(transactionId));
  const answer = decodeStun(encodeStun({
    class: "success",
    method: Method.BINDING,
    transactionId,
    attributes: [[A.XOR_MAPPED_ADDRESS, remote]],
    integrityKey: shortTermKey(gateway.request.remote.password),
  }))!;
  assert.equal(directory.byStun(answer), undefined, "not noted");
  directory.noteTransaction(key!, gateway, couple.now);
  directory.sweep(couple.now + 9_999);
  assert.equal(directory.byStun(answer), gateway);
  directory.sweep(couple.now + 10_000);
  assert.equal(directory.byStun(answer), undefined);
  directory.noteTransaction(key!, gateway, couple.now);
  directory.remove(gateway);
  assert.equal(directory.byStun(answer), undefined);
});
