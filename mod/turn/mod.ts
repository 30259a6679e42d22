/** The TURN client: one `Allocation` per relay. */
export { Allocation } from "./allocation.ts";
export type { AllocationEvent, FreedReason } from "./events.ts";
export type { AllocationOptions } from "./options.ts";
