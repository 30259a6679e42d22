/** The check before anything is touched: may this process make a TUN device and configure the network? */
import { mayConfigureNetwork } from "../../ffi/mod.ts";
import { CommandError } from "./errors.ts";

/** @throws CommandError that names both ways to get the permission */
export function requireNetworkAdministration(): void {
  if (mayConfigureNetwork(Deno.readTextFileSync("/proc/self/status"))) return;
  throw new CommandError(
    "Cannot create the tunnel: this process is not root and has no CAP_NET_ADMIN.\n" +
      "Run it as root, or give it the capability (systemd: AmbientCapabilities=CAP_NET_ADMIN). " +
      "`--no-check` starts anyway.",
  );
}
