/** A pair of tunnel ends that the bench can load: Postern, or wireguard-go. */
import type { Host } from "../../../mod/embedded/testbed/mod.ts";

export interface Contender {
  /** Part of the figures' names. */
  readonly name: string;
  /** What exactly ran: version, origin. */
  readonly version: string;
  /** Brings the tunnel up between the hosts and returns when a packet could pass. */
  start(hosts: BenchHosts): Promise<RunningContender>;
}

export interface BenchHosts {
  readonly client: Host;
  readonly gateway: Host;
  readonly server: Host;
}

export interface RunningContender {
  /** Processes to account CPU and memory to. */
  readonly processes: { readonly client: number; readonly gateway: number };
}
