export { BackgroundProcess, type ProcessOptions } from "./process.ts";
export { insideSandbox, runInSandbox, SANDBOX_VARIABLE, sandboxObstacle } from "./sandbox.ts";
export { type CableEnd, check, type CommandResult, Host, run, type RunOptions, Testbed } from "./testbed.ts";
export {
  blockUdp,
  forgetMappings,
  type NatKind,
  type NatOptions,
  type PortForward,
  setLoss,
  setNat,
  unblockUdp,
} from "./nat.ts";
export { hasCommand } from "./tools.ts";
