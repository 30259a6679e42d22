/** Admin pages: what goes on in the portal, for its operators. */
export { type AdminOptions, adminRoutes } from "./routes.tsx";
export type { AdminPortal } from "./snapshot.ts";
export { LiveState } from "./live_state.ts";
