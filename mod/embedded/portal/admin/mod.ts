/** Admin pages: what goes on in the portal, for its operators. */
export { type AdminOptions, adminRoutes } from "./routes.tsx";
export { LiveState } from "./live_state.ts";
