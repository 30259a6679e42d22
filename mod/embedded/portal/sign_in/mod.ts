/** Signing in at a browser: by itself, and for a device that wants a token (spec portal §4.9). */
export { browser, browserUser, checkCsrf, cookieName, csrfField, csrfToken } from "./browser.tsx";
export { BrowserSessions, type SessionsOptions } from "./sessions.ts";
export { hashPassword, isPasswordHash, verifyPassword } from "./password.ts";
export { type SignInOptions, signInRoutes } from "./routes.tsx";
export type { IdentityProvider } from "./identity_provider.ts";
