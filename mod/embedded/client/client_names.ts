/** The lab client's name service: a resolver on the sentinel address for the applications of this host. */
import { getLogger } from "@logtape/logtape";
import { SystemConfig } from "../../dns/mod.ts";
import { Driver, monotonicNow } from "../../dns/io/driver.ts";
import { FILES } from "../../dns/io/files.ts";
import { TunnelDns } from "../../dns/io/tunnel_dns.ts";
import { SocketAddress } from "../../packet/address.ts";
import type { OpenNames } from "../../runtime/types.ts";
import { DNS_SENTINEL } from "./proxy_addresses.ts";
import { StubResolver } from "./stub_resolver.ts";

const DNS_PORT = 53;
const log = getLogger(["postern", "dns"]);

export const openClientNames: OpenNames = (reply) => {
  const system = new SystemConfig(FILES, monotonicNow());
  const resolver = new StubResolver((length) => crypto.getRandomValues(new Uint8Array(length)));
  const replies = new Map<number, (bytes: Uint8Array | undefined) => void>();
  const driver = new Driver(resolver, () => {
    for (let answer = resolver.pollReply(); answer; answer = resolver.pollReply()) {
      replies.get(answer.number)?.(answer.bytes);
      replies.delete(answer.number);
    }
    for (let output = resolver.pollOutput(); output; output = resolver.pollOutput()) reply(output);
  });
  const server = new TunnelDns({
    port: DNS_PORT,
    handler: (bytes, transport, client) =>
      new Promise((resolve) => {
        driver.input((now) => {
          const number = resolver.handleQuery(bytes, transport, client, now);
          if (number === undefined) resolve(undefined);
          else replies.set(number, resolve);
        });
      }),
    onRefused: () => {},
    onWarning: (message, fields) => log.warn(message, fields),
  });
  return {
    async listen() {
      await server.listen([DNS_SENTINEL]);
      log.debug("Listening for DNS queries", { addresses: DNS_SENTINEL });
    },
    handle(request) {
      if (request.type === "resources") {
        const stated = request.nameservers.map(({ bytes, port }) => SocketAddress.fromBytes(bytes, port));
        const own = system.resolvConf.nameservers.filter(({ ip }) => ip !== DNS_SENTINEL);
        const nameservers = stated.length > 0 ? stated : own;
        driver.input((now) => resolver.configure(request.resources, nameservers, now));
      } else if (request.type === "site") {
        driver.input((now) => resolver.setSite(request.resourceId, request.gateway, now));
      }
    },
    counters: undefined,
    close() {
      server.close();
      driver.close();
      for (const resolve of replies.values()) resolve(undefined);
    },
  };
};
