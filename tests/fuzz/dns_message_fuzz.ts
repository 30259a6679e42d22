import assert from "node:assert/strict";
import {
  encodeAnswer,
  encodeQuery,
  parseQuery,
  parseResponse,
  type Query,
  sameQuestion,
  servfail,
  truncate,
  TYPE_TXT,
} from "../../mod/dns/message.ts";
import { frame, FrameReader } from "../../mod/dns/frame_reader.ts";
import { parseHosts } from "../../mod/dns/hosts.ts";
import { encodeName, readName } from "../../mod/dns/name.ts";
import { parseResolvConf } from "../../mod/dns/resolv_conf.ts";
import corpus from "./corpus/dns_message.hex" with { type: "text" };
import { dnsMessage } from "./dns_packets.ts";
import { fromHex, fromText, type FuzzTarget } from "./target.ts";

/** The stream of `message` and of the rest in pieces gives the message and keeps the rest. */
function checkFraming(message: Uint8Array): void {
  const reader = new FrameReader();
  const stream = frame(message);
  const step = 1 + message.length % 7;
  for (let at = 0; at < stream.length; at += step) {
    assert.equal(reader.next(), undefined);
    reader.push(stream.subarray(at, at + step));
  }
  assert.deepEqual(reader.next(), message);
  assert.ok(!reader.isInside);
  // As a stream of its own the input is messages and perhaps a beginning.
  reader.push(message);
  for (let next = reader.next(); next; next = reader.next()) assert.ok(next.length <= message.length - 2);
}

function checkAnswers(query: Query): void {
  for (
    const bytes of [servfail(query), encodeAnswer(query, [{ type: TYPE_TXT, ttl: 1, data: fromHex("0161") }])]
  ) {
    const response = parseResponse(bytes);
    assert.ok(response && response.id === query.id && sameQuestion(response.question, query.question));
  }
}

export const target: FuzzTarget = {
  title:
    "any bytes are one DNS message or none; names and answers made of it can be read; streams come apart",
  seeds: [
    encodeQuery(1, "db.corp.example", 1)!,
    fromHex("0001 8180 0001 0001 0000 0000 026462 00 0001 0001 c00c 0001 0001 0000003c 0004 0a00000a"),
    fromText("nameserver 192.0.2.1\nsearch corp.example\noptions ndots:2\n10.0.0.1 db db.corp.example # x\n"),
  ],
  corpus,
  generate: dnsMessage,
  smoke: 800,
  start: () => (input) => {
    const text = new TextDecoder().decode(input);
    parseHosts(text);
    const { ndots, nameservers } = parseResolvConf(text);
    assert.ok(Number.isInteger(ndots) && nameservers.length < 1000);
    checkFraming(input);
    const name = readName(input, 12);
    if (name) {
      const wire = encodeName(name.text);
      assert.ok(wire, `the name ${name.text} can't be written`);
      assert.equal(readName(wire, 0)?.text, name.text);
    }
    const query = parseQuery(input), response = parseResponse(input);
    assert.ok(!query || !response);
    if (query) {
      checkAnswers(query);
      return `query ${query.question.type < 40 ? query.question.type : "other"}`;
    }
    if (!response) return `none ${name !== undefined}`;
    const short = truncate(response, 280);
    assert.ok(short.length <= 280);
    const again = parseResponse(short);
    assert.ok(again && sameQuestion(again.question, response.question));
    assert.equal(again.truncated, response.truncated || short.length < input.length);
    return `response ${response.rcode} ${response.truncated} ${Math.min(response.answers.length, 4)}`;
  },
};
