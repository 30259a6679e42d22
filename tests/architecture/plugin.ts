/**
 * Lint rules for the architecture: arrows, purity, FFI, file size. They run inside `deno lint` (and therefore in
 * every editor and in `deno task check`), on the syntax tree, so a word in a comment never trips them.
 *
 * - `architecture/arrows`: a room imports only the rooms below it ({@link ROOMS}).
 * - `architecture/purity`: no `Deno`, clock, timer, randomness, console or I/O module in a pure room.
 * - `architecture/ffi`: native calls and pointers only in `ffi/` and tests.
 * - `architecture/size`: no file above {@link MAX_LINES} lines.
 */
import {
  isPure,
  MAX_LINES,
  projectPath,
  PURE_NODE_MODULES,
  resolveSpecifier,
  roomOf,
  ROOMS,
  SHARED_MODULES,
} from "./rooms.ts";

const FORBIDDEN_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  Date: ["now"],
  Math: ["random"],
  performance: ["now", "timeOrigin"],
  crypto: ["getRandomValues", "randomUUID"],
};
const FORBIDDEN_CALLS = /^((set|clear)(Timeout|Interval|Immediate)|queueMicrotask|fetch|prompt)$/;
const FORBIDDEN_CONSTRUCTORS: readonly string[] = ["Worker", "WebSocket", "EventSource", "BroadcastChannel"];
const FORBIDDEN_PACKAGES: readonly string[] = ["ws", "hono", "prom-client", "@logtape/logtape"];
const INJECT = "Take `now`, random bytes or the result of the I/O as an argument, or move this into io.ts.";
const FFI_MEMBER = /^(dlopen|Unsafe\w+)$/;

type Context = Deno.lint.RuleContext;
type Visitor = Deno.lint.LintVisitor;

function onImports(visit: (node: Deno.lint.Node, specifier: string) => void): Visitor {
  return {
    ImportDeclaration: (node) => visit(node, node.source.value),
    ExportAllDeclaration: (node) => visit(node, node.source.value),
    ExportNamedDeclaration(node) {
      if (node.source) visit(node, String(node.source.value));
    },
    ImportExpression(node) {
      if (node.source.type === "Literal") visit(node, String(node.source.value));
    },
    TSImportType(node) {
      const argument = node.argument as Deno.lint.Node;
      if (argument.type === "TSLiteralType" && argument.literal.type === "Literal") {
        visit(node, String(argument.literal.value));
      }
    },
  };
}

function arrows(context: Context): Visitor {
  const path = projectPath(context.filename);
  if (path === undefined || path.startsWith("tests/") || path.startsWith("tools/")) return {};
  const room = roomOf(path);
  const allowed = room === undefined ? undefined : ROOMS[room];
  if (room !== undefined && allowed === undefined) {
    return {
      Program: (node) =>
        context.report({
          node,
          message: `mod/${room}/ is no known room.`,
          hint: "Add it to tests/architecture/rooms.ts with the rooms that it may import.",
        }),
    };
  }
  return onImports((node, specifier) => {
    const target = resolveSpecifier(path, specifier);
    if (target === undefined || SHARED_MODULES.includes(target)) return;
    if (target.startsWith("tests/") || target.startsWith("tools/")) {
      context.report({
        node,
        message: `${path} imports ${target}: the product does not know its tests or tools.`,
      });
      return;
    }
    const other = roomOf(target);
    if (room === undefined || other === undefined || other === room || allowed!.includes(other)) return;
    context.report({
      node,
      message: `Room "${room}" may not import room "${other}" (${target}): arrows point down only.`,
      hint: `"${room}" may import: ${allowed!.join(", ") || "nothing"} and ${
        SHARED_MODULES.join(", ")
      }. Pass the value in, or move the code.`,
    });
  });
}

function purity(context: Context): Visitor {
  const path = projectPath(context.filename);
  if (path === undefined || !isPure(path)) return {};
  const room = roomOf(path)!;
  const complain = (node: Deno.lint.Node, what: string) =>
    context.report({ node, message: `${what} in the pure room "${room}".`, hint: INJECT });
  return {
    ...onImports((node, specifier) => {
      const io = specifier.startsWith("node:") && !PURE_NODE_MODULES[specifier]?.includes(room);
      const bare = /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? "";
      if (io || FORBIDDEN_PACKAGES.includes(bare)) complain(node, `I/O module "${specifier}"`);
      const target = resolveSpecifier(path, specifier);
      if (target !== undefined && roomOf(target) === room && !isPure(target) && !path.endsWith("/mod.ts")) {
        complain(node, `Import of the room's own I/O file ${target}`);
      }
    }),
    Identifier(node) {
      if (node.name === "Deno" || node.name === "console") complain(node, `\`${node.name}\``);
    },
    MemberExpression(node) {
      if (node.object.type !== "Identifier" || node.property.type !== "Identifier") return;
      const { name } = node.object;
      if (FORBIDDEN_MEMBERS[name]?.includes(node.property.name)) {
        complain(node, `\`${name}.${node.property.name}\``);
      }
    },
    CallExpression(node) {
      if (node.callee.type === "Identifier" && FORBIDDEN_CALLS.test(node.callee.name)) {
        complain(node, `\`${node.callee.name}()\``);
      }
    },
    NewExpression(node) {
      if (node.callee.type !== "Identifier") return;
      const { name } = node.callee;
      if (name === "Date" && node.arguments.length === 0) complain(node, "`new Date()` without a time");
      if (FORBIDDEN_CONSTRUCTORS.includes(name)) complain(node, `\`new ${name}\``);
    },
  };
}

function ffi(context: Context): Visitor {
  const path = projectPath(context.filename);
  if (path === undefined || path.startsWith("ffi/") || path.startsWith("tests/")) return {};
  return {
    MemberExpression(node) {
      if (
        node.object.type === "Identifier" && node.object.name === "Deno" &&
        node.property.type === "Identifier" && FFI_MEMBER.test(node.property.name)
      ) {
        context.report({
          node,
          message: `\`Deno.${node.property.name}\` outside ffi/.`,
          hint: "Put the binding into ffi/, typed and tested, and call that.",
        });
      }
    },
  };
}

function size(context: Context): Visitor {
  const path = projectPath(context.filename);
  if (path === undefined) return {};
  return {
    Program(node) {
      const lines = context.sourceCode.text.trimEnd().split("\n").length;
      if (lines <= MAX_LINES) return;
      context.report({
        node,
        message: `${path} has ${lines} lines; ${MAX_LINES} are allowed.`,
        hint: "Split it where a reader would.",
      });
    },
  };
}

const plugin: Deno.lint.Plugin = {
  name: "architecture",
  rules: {
    arrows: { create: arrows },
    purity: { create: purity },
    ffi: { create: ffi },
    size: { create: size },
  },
};

export default plugin;
