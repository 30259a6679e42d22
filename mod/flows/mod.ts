/** Flow records: who reached what, when, how much, and how it ended. */
export {
  type FlowClose,
  type FlowEnd,
  type FlowLoss,
  type FlowOpen,
  type FlowRecord,
  renderRecord,
} from "./record.ts";
export { RecordQueue } from "./record_queue.ts";
export { FLOW_COUNTERS, type FlowAbout, type FlowOptions, FlowTracker, MAX_FLOWS } from "./flow_tracker.ts";
