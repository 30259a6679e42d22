/** The one style of the sign-in pages, and the policy that lets nothing else in. */
import { createHash } from "node:crypto";

export const STYLE = `
:root { color-scheme: light dark; --ink: #1b2330; --soft: #5a6575; --line: #c9d0da; --ground: #f3f5f8; --sheet: #fff;
  --accent: #1f5fbf; --on-accent: #fff; --bad: #a3182b; --bad-ground: #fdecee; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf1; --soft: #a3adbb; --line: #3d4756; --ground: #12161d;
  --sheet: #1b212b; --accent: #7fb0ff; --on-accent: #0b1626; --bad: #ffb0b8; --bad-ground: #3a1a20; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; padding: 2rem 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; display: grid; align-items: start; justify-items: center; }
main { width: 100%; max-width: 26rem; padding: 1.75rem; background: var(--sheet); border: 1px solid var(--line);
  border-radius: .75rem; overflow-wrap: anywhere; }
@media (min-height: 40rem) { body { padding-top: 12vh; } }
h1 { margin: 0 0 .25rem; font-size: 1.35rem; line-height: 1.25; }
h2 { margin: 2rem 0 .5rem; font-size: 1rem; }
p { margin: .5rem 0 1rem; }
.soft { color: var(--soft); }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { width: 100%; padding: .6rem .7rem; font: inherit; color: inherit; background: var(--ground);
  border: 1px solid var(--soft); border-radius: .4rem; }
button, a.button { display: block; width: 100%; margin-top: 1.25rem; padding: .65rem 1rem; font: inherit;
  font-weight: 600; text-align: center; text-decoration: none; color: var(--on-accent); background: var(--accent);
  border: 1px solid var(--accent); border-radius: .4rem; cursor: pointer; }
button.quiet { color: var(--ink); background: none; border-color: var(--soft); }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
[role=alert] { margin: 1rem 0 0; padding: .6rem .8rem; color: var(--bad); background: var(--bad-ground);
  border-radius: .4rem; }
code.token { display: block; padding: .7rem; background: var(--ground); border: 1px solid var(--line);
  border-radius: .4rem; user-select: all; word-break: break-all; }
ul { list-style: none; margin: 0; padding: 0; }
li { display: flex; gap: 1rem; align-items: center; justify-content: space-between; padding: .5rem 0;
  border-top: 1px solid var(--line); }
li form { flex: none; }
li button { width: auto; margin: 0; padding: .3rem .7rem; white-space: nowrap; }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** No scripts, no images, no frames, nothing from elsewhere. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${STYLE_HASH}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");
