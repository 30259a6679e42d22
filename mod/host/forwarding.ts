/**
 * Turns this host into a router for the tunnel's clients: forwarding sysctls and masquerading, both put back at the
 * end. Deployments that do it themselves (containers, units with iptables) leave it out.
 */
import { parsePrefix } from "../../ffi/netlink/mod.ts";
import { Masquerade } from "../../ffi/nftables/mod.ts";
import { Sysctls } from "./sysctl.ts";

/** A setting that does not exist belongs to an IP family that this host lacks. */
const SETTINGS: readonly (readonly [key: string, value: string])[] = [
  ["net.ipv4.ip_forward", "1"],
  ["net.ipv4.conf.all.src_valid_mark", "1"],
  ["net.ipv6.conf.all.disable_ipv6", "0"],
  ["net.ipv6.conf.all.forwarding", "1"],
  ["net.ipv6.conf.default.forwarding", "1"],
];

export class Forwarding {
  readonly #sysctls: Sysctls;
  readonly #masquerade: Masquerade;

  private constructor(sysctls: Sysctls, masquerade: Masquerade) {
    this.#sysctls = sysctls;
    this.#masquerade = masquerade;
  }

  /**
   * @param ranges CIDRs of the clients
   * @throws Error when a setting may not be changed or nf_tables refuses; nothing is left behind then
   */
  static start(tunName: string, ranges: readonly string[]): Forwarding {
    const sysctls = new Sysctls();
    try {
      for (const [key, value] of SETTINGS) if (sysctls.exists(key)) sysctls.set(key, value);
      return new Forwarding(sysctls, Masquerade.install({ ranges: ranges.map(parsePrefix), tun: tunName }));
    } catch (error) {
      sysctls.restore();
      throw error;
    }
  }

  /** Never throws: it runs while the process ends. */
  stop(): void {
    try {
      this.#masquerade.remove();
    } catch {
      // The kernel removes an owned table with the process.
    }
    this.#sysctls.restore();
  }
}
