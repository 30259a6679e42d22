import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  encodeAnswer,
  encodeQuery,
  parseQuery,
  parseResponse,
  responseId,
  servfail,
  truncate,
} from "../../mod/dns/mod.ts";
import { A, aliasData, CNAME, OPT, queryBytes, responseBytes, TXT } from "./messages.ts";

const hex = (bytes: Uint8Array) => [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");

Deno.test("the probe's query has the wire form that upstream sends", () => {
  const bytes = encodeQuery(0xabcd, "firezone.dev", A)!;
  assert.equal(hex(bytes), "abcd01000001000000000000" + "08666972657a6f6e6503646576" + "00" + "00010001");
  assert.equal(encodeQuery(1, "a..b", A), undefined);
});

Deno.test("a query needs twelve bytes, QR 0, exactly one whole question", () => {
  const query = queryBytes({ id: 7, name: "App.Example.com", type: TXT });
  const parsed = parseQuery(query)!;
  assert.equal(parsed.id, 7);
  assert.deepEqual(parsed.question, { name: "app.example.com", type: TXT, class: 1 });
  assert.equal(parsed.questionEnd, query.length);
  for (let length = 0; length < query.length; length++) {
    assert.equal(parseQuery(query.subarray(0, length)), undefined, `${length} bytes`);
  }
  assert.equal(parseQuery(queryBytes({ flags: 0x8100 })), undefined);
  for (const count of [0, 2]) {
    const wrong = query.slice();
    wrong[5] = count;
    assert.equal(parseQuery(wrong), undefined, `${count} questions`);
  }
});

Deno.test("a query's answer section must be readable, what follows it need not", () => {
  const query = queryBytes();
  query[7] = 1;
  assert.equal(parseQuery(query), undefined);
  const withOpt = queryBytes({ additional: [{ name: "", type: OPT, data: new Uint8Array(0) }] });
  assert.ok(parseQuery(withOpt));
  assert.ok(parseQuery(withOpt.subarray(0, withOpt.length - 3)));
});

Deno.test("a response tells its code, its truncation and its records; a TTL with the sign bit is 0", () => {
  const response = parseResponse(responseBytes(queryBytes(), {
    flags: 0x8383,
    answers: [
      { name: "app.example.com", type: CNAME, ttl: 30, data: aliasData("real.example.com") },
      { name: "real.example.com", type: A, ttl: 0xffffffff, data: Uint8Array.of(10, 0, 0, 1) },
    ],
  }))!;
  assert.equal(response.rcode, 3);
  assert.ok(response.truncated);
  assert.equal(response.answers[0]!.target, "real.example.com");
  assert.equal(response.answers[0]!.ttl, 30);
  assert.equal(response.answers[1]!.ttl, 0);
  assert.deepEqual([...response.answers[1]!.data], [10, 0, 0, 1]);
});

Deno.test("responses that are queries, cut or with a broken alias are none", () => {
  const answers = [{ name: "app.example.com", type: CNAME, data: aliasData("real.example.com") }];
  const response = responseBytes(queryBytes(), { answers });
  assert.equal(parseResponse(queryBytes()), undefined);
  for (let length = 0; length < response.length; length++) {
    assert.equal(parseResponse(response.subarray(0, length)), undefined, `${length} bytes`);
  }
  const broken = [{ name: "app.example.com", type: CNAME, data: Uint8Array.of(9, 1) }];
  assert.equal(parseResponse(responseBytes(queryBytes(), { answers: broken })), undefined);
  assert.equal(responseId(queryBytes()), undefined);
  assert.equal(responseId(response), 0x1234);
});

Deno.test("SERVFAIL repeats id, opcode, RD and question, and nothing else", () => {
  const query = queryBytes({
    id: 0xbeef,
    flags: 0x2930, // opcode 5, RD, AD, CD
    additional: [{ name: "", type: OPT, data: new Uint8Array(0) }],
  });
  const failure = servfail(parseQuery(query)!);
  assert.equal(hex(failure.subarray(0, 12)), "beef" + "a902" + "0001000000000000");
  assert.deepEqual(failure.subarray(12), query.slice(12, failure.length));
  assert.equal(parseResponse(failure)!.rcode, 2);
});

Deno.test("a thousand A records cut to 1000 bytes: TC, no answers, the same question", () => {
  const query = queryBytes();
  const answers = Array.from({ length: 1000 }, (_, i) => ({
    name: "app.example.com",
    type: A,
    data: Uint8Array.of(10, 0, i >> 8, i & 255),
  }));
  const response = parseResponse(responseBytes(query, { answers }))!;
  const cut = truncate(response, 1000);
  assert.ok(cut.length <= 1000);
  const parsed = parseResponse(cut)!;
  assert.ok(parsed.truncated);
  assert.equal(parsed.answers.length, 0);
  assert.deepEqual(parsed.question, response.question);
  assert.equal(truncate(response, response.bytes.length), response.bytes);
});

Deno.test("an answer of our own is read back as it was meant", () => {
  const query = parseQuery(queryBytes({ id: 5 }))!;
  const records = [1, 2].map((n) => ({ type: A, ttl: 1, data: Uint8Array.of(100, 96, 0, n) }));
  const response = parseResponse(encodeAnswer(query, records))!;
  assert.equal(response.rcode, 0);
  assert.deepEqual(response.answers.map(({ name, ttl, data }) => [name, ttl, ...data]), [
    ["app.example.com", 1, 100, 96, 0, 1],
    ["app.example.com", 1, 100, 96, 0, 2],
  ]);
});

Deno.test("thousands of records that end in one long name cost little: a client may send them", () => {
  const bytes = new Uint8Array(65535);
  const view = new DataView(bytes.buffer);
  bytes.set(queryBytes({ name: Array.from({ length: 126 }, () => "\\255").join(".") }));
  let count = 0;
  for (let at = parseQuery(bytes)!.questionEnd; at + 12 <= bytes.length; at += 12, count++) {
    view.setUint16(at, 0xc00c);
    view.setUint16(at + 2, 99);
  }
  view.setUint16(6, count);
  const started = performance.now();
  for (let i = 0; i < 10; i++) assert.ok(parseQuery(bytes));
  assert.ok(performance.now() - started < 500, `${performance.now() - started} ms`);
});

Deno.test("any bytes: a message or nothing, never a throw; what parses can be refused and cut", () => {
  const valid = responseBytes(queryBytes(), {
    answers: [
      { name: "app.example.com", type: CNAME, data: aliasData("real.example.com") },
      { name: "real.example.com", type: A, data: Uint8Array.of(1, 2, 3, 4) },
    ],
  });
  const damaged = fc.tuple(fc.nat(valid.length), fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255))))
    .map(
      ([length, changes]) => {
        const bytes = valid.slice(0, length);
        for (const [at, value] of changes) if (at < length) bytes[at] = value;
        return bytes;
      },
    );
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), damaged), (bytes) => {
      const query = parseQuery(bytes), response = parseResponse(bytes);
      assert.ok(!query || !response);
      if (query) assert.ok(parseResponse(servfail(query)));
      if (response) assert.ok(parseResponse(truncate(response, 12)));
    }),
    { numRuns: 2000 },
  );
});
