/**
 * Phoenix frames, serializer V1: one JSON object per text frame. Towards the portal all four keys are always there
 * and `ref` is a number; from the portal `ref` is null in pushes and echoes the number in replies.
 */

export interface Frame {
  readonly topic: string;
  readonly event: string;
  readonly payload: unknown;
  readonly ref: number | null;
}

export function encodeFrame(frame: Frame): string {
  const { topic, event, payload, ref } = frame;
  return JSON.stringify({ topic, event, payload, ref });
}

/** The frame, or a short reason why `text` is none. Never throws; the reason never quotes the payload. */
export function decodeFrame(text: string): Frame | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "not JSON";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "not a JSON object";
  const { topic, event, payload, ref } = value as Record<string, unknown>;
  if (typeof topic !== "string") return "no topic";
  if (typeof event !== "string") return "no event";
  if (ref !== undefined && ref !== null && (typeof ref !== "number" || !Number.isSafeInteger(ref))) {
    return "ref is neither a number nor null";
  }
  return { topic, event, payload: payload ?? null, ref: (ref ?? null) as number | null };
}

/** `status` of a `phx_reply` payload, with the reason of an error; undefined when it is no reply. */
export function readReply(payload: unknown): { ok: true } | { ok: false; reason: string } | undefined {
  if (typeof payload !== "object" || payload === null) return undefined;
  const { status, response } = payload as Record<string, unknown>;
  if (status === "ok") return { ok: true };
  if (status !== "error") return undefined;
  const reason = (response as Record<string, unknown> | null | undefined)?.reason;
  return { ok: false, reason: typeof reason === "string" ? printable(reason) : "unspecified" };
}

/** Text of a stranger, cut and cleaned so that it can be shown in a log. */
export function printable(text: string, limit = 120): string {
  // deno-lint-ignore no-control-regex
  const clean = text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ").trim();
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}
