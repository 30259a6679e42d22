/** What browsers may do with the pages: nothing but their own style and script. The server adds what is for all pages. */
import { createHash } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import SCRIPT from "./live.js" with { type: "text" };
import PAGE from "./page.css" with { type: "text" };
import PARTS from "./parts.css" with { type: "text" };

export { SCRIPT };
export const STYLE = PAGE + PARTS;

const source = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src ${source(STYLE)}`,
  `script-src ${source(SCRIPT)}`,
  "img-src data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const contentSecurity: MiddlewareHandler = async (c, next) => {
  await next();
  c.res.headers.set("content-security-policy", CONTENT_SECURITY_POLICY);
};
