/** Ciphers and key agreement: the interfaces, portable back ends, the self-test and the ladder that chooses. */
export * from "./choose.ts";
export { NobleAead } from "./noble_aead.ts";
export { NobleDh } from "./noble_dh.ts";
export { NodeAead } from "./node_aead.ts";
export { NodeDh } from "./node_dh.ts";
export { SELF_TEST_LENGTH, selfTestAead, selfTestDh, selfTestSealer } from "./self_test.ts";
export type * from "./types.ts";
export { WasmAead } from "./wasm_aead.ts";
