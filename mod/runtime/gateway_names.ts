/** Names of a gateway: look-ups for DNS resources, and the site's nameservers within reach of its clients. */
import { getLogger } from "@logtape/logtape";
import { GatewayDns } from "../dns/io/gateway_dns.ts";
import { formatIp } from "../packet/mod.ts";
import type { OpenNames } from "./types.ts";

const log = getLogger(["postern", "dns"]);

/** @throws Error when this host's resolv.conf cannot be read */
export const openGatewayNames: OpenNames = (reply) => {
  const dns = new GatewayDns(
    (domain, addresses) => {
      log.debug("Resolved a name", {
        domain,
        addresses: addresses?.map(formatIp).join(" ") ?? "no outcome in time",
      });
      reply({ type: "resolved", domain, addresses });
    },
    (message, fields) => log.warn(message, fields),
  );
  log.debug("Nameservers of this host", { nameservers: dns.nameservers.join(" ") });
  return {
    async listen({ ipv4, ipv6 }) {
      const addresses = await dns.listen([formatIp(ipv4), formatIp(ipv6)]);
      log.debug("Listening for DNS queries", { addresses: addresses.join(" ") });
    },
    handle(request) {
      if (request.type === "resolve") dns.resolve(request.domain);
    },
    counters: dns.counts.counters,
    close: () => dns.close(),
  };
};
