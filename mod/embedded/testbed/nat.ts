/**
 * Home and office routers: Linux NAT set up so that it behaves as RFC 4787 describes the common kinds.
 * The device towards the internet is called `wan`.
 */
import type { Host } from "./testbed.ts";

/**
 * `cone`: endpoint-independent mapping, port-dependent filtering (most home routers); `conemap`: the same with
 * another port number outside than inside; `fullcone`: anybody may send in; `symmetric`: another port for every
 * destination; `none`: no translation, no firewall.
 */
export type NatKind = "cone" | "conemap" | "fullcone" | "symmetric" | "none";

export interface PortForward {
  readonly protocol: "tcp" | "udp";
  /** A port or a range: `3478`, `49152-65535`. */
  readonly ports: string;
}

export interface NatOptions {
  readonly kind: NatKind;
  /** The public IPv4 address on `wan`. */
  readonly publicAddress: string;
  /** The one host inside that forwarded ports (and everything, for `fullcone`) lead to. */
  readonly inside: string;
  readonly forwards?: readonly PortForward[];
  /** Whether a host inside reaches forwarded ports by the public address, as many home routers don't let it. */
  readonly hairpin?: boolean;
}

const TABLE = "nat";

/** Makes `router` a NAT of the given kind, replacing what it was before. Existing mappings are forgotten. */
export async function setNat(router: Host, options: NatOptions): Promise<void> {
  await router.dropTable(TABLE);
  if (options.kind !== "none") await router.nft(ruleset(options));
  await forgetMappings(router);
}

/** Forgets every connection that the router tracks, as a reboot would. */
export async function forgetMappings(router: Host): Promise<void> {
  await router.run(["conntrack", "-F"]);
}

function ruleset({ kind, publicAddress, inside, forwards = [], hairpin = true }: NatOptions): string {
  const pick = kind === "symmetric" ? "random,fully-random" : kind === "conemap" ? "to :20000-30000" : "";
  const ports = kind === "conemap" ? "meta l4proto { tcp, udp }" : "";
  const all = kind === "fullcone" ? [{ protocol: "udp", ports: "1024-65535" }, ...forwards] : forwards;
  const dnat = all.map(({ protocol, ports }) =>
    `    ip daddr ${publicAddress} ${protocol} dport ${ports} dnat ip to ${inside}`
  );
  return `table inet ${TABLE} {
  chain pre { type nat hook prerouting priority dstnat; policy accept;
${dnat.join("\n")}
  }
  chain post { type nat hook postrouting priority srcnat; policy accept;
    # Hairpin: a host inside that uses the public address must look as it would from outside.
    oifname != "wan" ip saddr ${inside} ct status dnat ${hairpin ? `snat ip to ${publicAddress}` : "drop"}
    oifname "wan" meta nfproto ipv4 ${ports} masquerade ${pick}
    oifname "wan" meta nfproto ipv4 masquerade
  }
  # An unsolicited packet to the NAT's own address must not be confirmed by connection tracking: it would take the
  # very tuple that the inside host's next packet needs, masquerade would pick another port, and hole punching fails.
  chain input_ { type filter hook input priority 0; policy accept;
    meta l4proto udp drop
  }
  chain forward_ { type filter hook forward priority 0; policy accept;
    iifname "wan" ct state established,related accept
    iifname "wan" ct status dnat accept
    iifname "wan" drop
  }
}
`;
}

/** Lets UDP from inside out only to the given relays (`address` and port 3478), as strict networks do. */
export async function blockUdp(
  router: Host,
  relays: readonly string[],
  lan: string,
): Promise<void> {
  const accept = relays.map((address) =>
    `    meta l4proto udp ${address.includes(":") ? "ip6" : "ip"} daddr ${address} udp dport 3478 accept`
  );
  await router.dropTable("udpblock");
  await router.nft(
    `table inet udpblock { chain forward_ { type filter hook forward priority -10; policy accept;
${accept.join("\n")}
    iifname "${lan}" meta l4proto udp counter drop
  }
}
`,
  );
  await forgetMappings(router);
}

export async function unblockUdp(router: Host): Promise<void> {
  await router.dropTable("udpblock");
  await forgetMappings(router);
}

/** Drops this share (0..100) of the forwarded UDP packets, in each direction on its own. */
export async function setLoss(router: Host, percent: number): Promise<void> {
  await router.dropTable("loss");
  if (percent === 0) return;
  await router.nft(`table inet loss { chain forward_ { type filter hook forward priority 0; policy accept;
    meta l4proto udp numgen random mod 1000 < ${Math.round(percent * 10)} counter drop
  }
}
`);
}
