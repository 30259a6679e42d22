import assert from "node:assert/strict";
import { encodeCheck, encodeCheckSuccess, encodeRoleConflict } from "../../mod/ice/check_messages.ts";
import { decodeStun, shortTermKey, verifyIntegrity } from "../../mod/stun/mod.ts";
import { address, CLIENT_CREDENTIALS, GATEWAY_CREDENTIALS } from "./duo.ts";

const transactionId = Uint8Array.from({ length: 12 }, (_, i) => i);
const clientKey = shortTermKey(CLIENT_CREDENTIALS.password);
const gatewayKey = shortTermKey(GATEWAY_CREDENTIALS.password);

Deno.test("a gateway's check is byte for byte that of snownet §2.6", () => {
  const bytes = encodeCheck({
    transactionId,
    username: "w7up:kwe6",
    controlling: false,
    tieBreaker: 0x0102030405060708n,
    priority: 1862270719,
    useCandidate: false,
    key: clientKey,
  });
  assert.equal(
    bytes.toHex(),
    "000100442112a442000102030405060708090a0b00060009773775703a6b776536000000802900080102030405060708002400046efffeff" +
      "000800147a9856e70f532dfa1244f841b5c8985127a05e51802800045457a473",
  );
});

Deno.test("a client's nominating check is byte for byte that of snownet §2.6", () => {
  const bytes = encodeCheck({
    transactionId,
    username: "kwe6:w7up",
    controlling: true,
    tieBreaker: 0x1112131415161718n,
    priority: 1862270719,
    useCandidate: true,
    key: gatewayKey,
  });
  assert.equal(
    bytes.toHex(),
    "000100482112a442000102030405060708090a0b000600096b7765363a77377570000000802a00081112131415161718002400046efffeff" +
      "002500000008001423b5ab5e0eb6f952f16b504f32d1f09d4aafb10080280004d9db9010",
  );
});

Deno.test("a gateway's success reply is byte for byte that of snownet §2.6", () => {
  const request = decodeStun(encodeCheck({
    transactionId,
    username: "kwe6:w7up",
    controlling: true,
    tieBreaker: 1n,
    priority: 1,
    useCandidate: false,
    key: gatewayKey,
  }))!;
  assert.equal(
    encodeCheckSuccess(request, address("203.0.113.7:52625"), gatewayKey).toHex(),
    "0101002c2112a442000102030405060708090a0b002000080001ec83ea12d5450008001495e300f6d756c65d528e80892b831c7b34075040" +
      "80280004bd2b1c9a",
  );
  const conflict = decodeStun(encodeRoleConflict(request, gatewayKey))!;
  assert.equal(conflict.errorCode?.code, 487);
  assert.ok(verifyIntegrity(conflict, gatewayKey));
});
