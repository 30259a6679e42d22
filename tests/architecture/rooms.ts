/**
 * The map of the project: which room may know which, and where the outside world may be touched.
 * The picture of the architecture as data; the lint rules beside it read nothing else.
 */

const CORE = [
  "gateway",
  "flows",
  "node",
  "policy",
  "portal",
  "dns",
  "ice",
  "turn",
  "wireguard",
  "stun",
  "packet",
  "crypto",
];

/** For each room of `mod/`, the rooms whose modules it may import. Arrows point down only. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  packet: [],
  crypto: ["packet"],
  stun: ["packet"],
  ice: ["stun", "packet"],
  turn: ["stun", "packet"],
  wireguard: ["packet"],
  node: ["ice", "turn", "wireguard", "stun", "packet"],
  policy: ["packet"],
  dns: ["packet"],
  flows: ["packet"],
  portal: ["packet"],
  gateway: ["node", "policy", "flows", "portal", "dns", "ice", "turn", "wireguard", "stun", "packet"],
  host: ["packet", "ffi"],
  runtime: [...CORE, "host", "ffi"],
  embedded: [...CORE, "host", "ffi", "runtime"],
  cli: [...CORE, "host", "ffi", "runtime", "embedded"],
  /** Outside `mod/`: bindings to the operating system. They know the slab's conventions, nothing above. */
  ffi: ["packet", "crypto"],
};

/** Modules that are contracts between rooms: every room may import them. */
export const SHARED_MODULES: readonly string[] = ["mod/crypto/types.ts"];

/** Rooms that do I/O by purpose. Elsewhere I/O lives in a file `io.ts` or a folder `io/` of the room. */
export const IO_ROOMS: readonly string[] = ["runtime", "host", "cli", "embedded"];

/** `node:` modules that compute only, and the one room that may use them. */
export const PURE_NODE_MODULES: Readonly<Record<string, readonly string[]>> = {
  "node:crypto": ["crypto"],
  "node:buffer": ["crypto"],
};

export const MAX_LINES = 500;

const ROOT = new URL("../../", import.meta.url).pathname;

/** The project-relative path of a file (absolute, or already relative); undefined outside the project's folders. */
export function projectPath(file: string): string | undefined {
  const path = file.replaceAll("\\", "/");
  const relative = path.startsWith(ROOT) ? path.slice(ROOT.length) : path;
  return /^(mod|ffi|tests|tools)\/|^(main|mod)\.ts$/.test(relative) ? relative : undefined;
}

/** The room of a project-relative path; undefined for tests, tools and the two top-level files. */
export function roomOf(path: string): string | undefined {
  if (path.startsWith("ffi/")) return "ffi";
  return /^mod\/([^/]+)\//.exec(path)?.[1];
}

/** True where clocks, timers, randomness and `Deno` are forbidden. */
export function isPure(path: string): boolean {
  const room = roomOf(path);
  if (room === undefined || room === "ffi" || IO_ROOMS.includes(room)) return false;
  return !/\/io(\/|\.ts$)/.test(path);
}

/** Resolves a relative specifier against an importing project path: `mod/ice/a.ts` + `../stun/b.ts`. */
export function resolveSpecifier(importer: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const parts = importer.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
