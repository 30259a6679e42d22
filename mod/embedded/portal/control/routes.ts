/**
 * The control API: HTTP and JSON, for the verbs of the command line. Whoever can open the socket may do everything.
 *
 * A refusal is `{"error": "…"}`, the end of a sentence that begins with what was asked; mistakes in a policy come as
 * `problems`, too, as the file's checker prints them.
 */
import { type Context, Hono } from "hono";
import * as v from "valibot";
import type { TokenRecord } from "../core/tokens.ts";
import type { PolicyDiff } from "../policy/diff.ts";
import { PolicyError, problemText } from "../policy/problems.ts";
import { isObjectKind, type ObjectKind } from "../policy/objects.ts";
import { Refusal } from "../policy/refusal.ts";
import { StoreError } from "../store/store_error.ts";
import type { Administration } from "./administration.ts";
import { createToken, type MadeToken, ownerOf, rotateToken, tokensOf } from "./tokens.ts";
import { deviceView, entryViews, type StatusView, statusView, tokenView } from "./views.ts";

/** Characters. */
const MAX_BODY = 4 << 20;
/** Seconds: a year. */
const MAX_GRACE = 366 * 86_400;

export interface ControlOptions {
  readonly about: Pick<StatusView, "version" | "url" | "policyFile" | "stateFile" | "startedAt">;
  /** Says what a verb did, for the log. */
  readonly onChange?: (what: string, diff: PolicyDiff | undefined) => void;
}

const document = v.pipe(
  v.record(v.string(), v.unknown()),
  v.check((table) => !("name" in table), "the name is not in it"),
);
const role = v.optional(v.picklist(["gateway", "client"]));
const text = v.pipe(v.string(), v.minLength(1), v.maxLength(1024));
const seconds = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(max));

const BODIES = {
  add: v.strictObject({ name: v.pipe(text, v.trim()), document }),
  set: v.strictObject({ changes: document }),
  preview: v.strictObject({ file: text, text: v.string(), secrets: v.record(v.string(), v.string()) }),
  createToken: v.strictObject({ name: text, role, expiresAt: v.optional(seconds(Number.MAX_SAFE_INTEGER)) }),
  rotateToken: v.strictObject({ name: text, role, grace: seconds(MAX_GRACE) }),
  device: v.strictObject({ verified: v.boolean() }),
  backup: v.strictObject({ path: v.pipe(text, v.startsWith("/")) }),
};

export function controlRoutes(administration: Administration, options: ControlOptions): Hono {
  const { portal } = administration;
  const { onChange } = options;
  const app = new Hono();
  app.onError((error, c) => refuse(c, error));
  app.notFound((c) => c.json({ error: `there is nothing at ${c.req.method} ${c.req.path}.` }, 404));
  const changed = (c: Context, what: string, diff: PolicyDiff) => {
    onChange?.(what, diff);
    return c.json(diff);
  };

  app.get("/status", (c) => c.json(statusView(administration, options.about)));
  app.post("/reload", (c) => changed(c, "Read the policy again", administration.reload()));
  app.post("/preview", async (c) => {
    const { file, text, secrets } = await body(c, BODIES.preview);
    return c.json(administration.preview({ file, text, secrets: new Map(Object.entries(secrets)) }));
  });
  app.post("/backup", async (c) => {
    administration.backup((await body(c, BODIES.backup)).path);
    return c.json({});
  });

  app.get("/objects/:kind", (c) => c.json(entryViews(portal.policy, administration.objects(), kindOf(c))));
  app.get("/objects/:kind/:name", (c) => {
    const kind = kindOf(c), name = c.req.param("name");
    const found = entryViews(portal.policy, administration.objects(), kind).find((one) => one.name === name);
    if (!found) throw new Refusal(404, `there is no ${kind} "${name}".`);
    return c.json(found);
  });
  app.post("/objects/:kind", async (c) => {
    const kind = kindOf(c);
    const { name, document } = await body(c, BODIES.add);
    return changed(c, `Added ${kind} "${name}"`, administration.addObject({ kind, name, document }));
  });
  app.patch("/objects/:kind/:name", async (c) => {
    const kind = kindOf(c), name = c.req.param("name");
    const { changes } = await body(c, BODIES.set);
    return changed(c, `Changed ${kind} "${name}"`, administration.changeObject(kind, name, changes));
  });
  app.delete("/objects/:kind/:name", (c) => {
    const kind = kindOf(c), name = c.req.param("name");
    return changed(c, `Removed ${kind} "${name}"`, administration.removeObject(kind, name));
  });

  const tokens = (which: (token: TokenRecord) => boolean) => {
    const devices = portal.devices();
    return portal.tokens().filter(which).map((one) => tokenView(one, portal.policy, devices));
  };
  const made = (token: string, record: TokenRecord, replaced: MadeToken["replaced"]) => {
    const isKept = options.about.stateFile !== undefined;
    return { token, ...tokenView(record, portal.policy, []), isKept, replaced };
  };
  app.get("/tokens", (c) => c.json(tokens(({ providerId }) => providerId === undefined)));
  app.post("/tokens", async (c) => {
    const { name, role, expiresAt } = await body(c, BODIES.createToken);
    const owner = ownerOf(portal.policy, name, role);
    const { token, record } = createToken(portal, owner, expiresAt);
    onChange?.(`Made a token of ${owner.role} "${name}"`, undefined);
    return c.json(made(token, record, []));
  });
  app.post("/tokens/rotate", async (c) => {
    const { name, role, grace } = await body(c, BODIES.rotateToken);
    const one = portal.tokens().find(({ id, providerId }) => id === name && providerId === undefined);
    const owner = one ?? ownerOf(portal.policy, name, role);
    const old = one ? [one] : tokensOf(portal, owner);
    const { token, record, replaced } = rotateToken(administration, old, owner, grace);
    onChange?.(`Rotated the token of ${owner.role} "${owner.owner}"`, undefined);
    return c.json(made(token, record, replaced));
  });
  app.delete("/tokens/:id", (c) => {
    const id = c.req.param("id");
    const found = portal.tokens().some((one) => one.id === id && one.providerId === undefined);
    if (!found || !portal.revokeToken(id)) throw new Refusal(404, `there is no token ${id}.`);
    onChange?.(`Revoked token ${id}`, undefined);
    return c.json({});
  });

  app.get("/sessions", (c) => c.json(tokens(isSession)));
  app.delete("/sessions/:which", (c) => {
    const which = c.req.param("which");
    const found = portal.tokens().filter((one) =>
      isSession(one) && (one.id === which || one.owner === which)
    );
    if (found.length === 0) throw new Refusal(404, `there is no session ${which}, and no user with one.`);
    for (const { id } of found) portal.revokeToken(id);
    onChange?.(`Ended ${found.length} session(s) of "${found[0]!.owner}"`, undefined);
    return c.json({ revoked: found.map(({ id }) => id) });
  });

  app.get("/devices", (c) => c.json(portal.devices().map((one) => deviceView(one, portal.policy))));
  app.patch("/devices/:id", async (c) => {
    const id = c.req.param("id");
    const { verified } = await body(c, BODIES.device);
    if (!portal.verify(id, verified)) throw new Refusal(404, `there is no client device ${id}.`);
    onChange?.(`${verified ? "Verified" : "No longer trusts"} device ${id}`, undefined);
    return c.json({});
  });
  app.delete("/devices/:id", (c) => {
    const id = c.req.param("id");
    if (!administration.removeDevice(id)) throw new Refusal(404, `there is no device ${id}.`);
    onChange?.(`Removed device ${id}`, undefined);
    return c.json({});
  });
  return app;
}

/** Made by signing in. */
function isSession({ role, providerId }: TokenRecord): boolean {
  return role === "client" && providerId !== undefined;
}

function kindOf(c: Context): ObjectKind {
  const kind = c.req.param("kind") ?? "";
  if (!isObjectKind(kind)) throw new Refusal(404, "there are no such objects.");
  return kind;
}

/** @throws Refusal when it is no JSON of the right shape */
async function body<T extends v.GenericSchema>(c: Context, schema: T): Promise<v.InferOutput<T>> {
  let value: unknown;
  try {
    const text = await c.req.text();
    if (text.length > MAX_BODY) throw new Refusal(400, "the request is too long.");
    value = JSON.parse(text);
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(400, "the request is no JSON.");
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Refusal(400, `the request is wrong at ${v.getDotPath(issue) ?? "its top"}: ${issue.message}`);
}

function refuse(c: Context, error: Error): Response {
  if (error instanceof Refusal) return c.json({ error: error.message }, error.status);
  if (error instanceof PolicyError) {
    const problems = error.problems.map((one) => problemText(error.file, one));
    return c.json({ error: error.message, problems }, 422);
  }
  if (error instanceof StoreError) return c.json({ error: error.message }, 503);
  return c.json({ error: `the portal failed: ${error.message}` }, 500);
}
