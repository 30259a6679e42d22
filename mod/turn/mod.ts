/** The TURN client: one `Allocation` per relay. */
export { Allocation, type AllocationOptions } from "./allocation.ts";
export type { AllocationEvent, FreedReason } from "./events.ts";
