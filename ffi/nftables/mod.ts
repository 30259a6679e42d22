export { Masquerade, type MasqueradeOptions } from "./masquerade.ts";
