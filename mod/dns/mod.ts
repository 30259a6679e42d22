/** DNS: message codec, a forwarder with a choice of nameservers, a stub resolver with a cache. I/O is in `io/`. */
export { ConnectionLimits } from "./connection_limits.ts";
export { DnsCounts } from "./counts.ts";
export { Dns, type DnsOptions } from "./dns.ts";
export { Forwarder, MAX_UDP_ANSWER, type Reply } from "./forwarder.ts";
export { frame, FrameReader } from "./frame_reader.ts";
export { type Hosts, parseHosts } from "./hosts.ts";
export * from "./message.ts";
export { NameCache } from "./name_cache.ts";
export { encodeName, type KnownNames, readName } from "./name.ts";
export { Nameservers, type Transport } from "./nameservers.ts";
export { candidateNames, parseResolvConf, type ResolvConf } from "./resolv_conf.ts";
export { type Resolution, RESOLVE_TIMEOUT, Resolver } from "./resolver.ts";
export { type FileReader, HOSTS, RESOLV_CONF, SystemConfig } from "./system_config.ts";
export { ASK_TIMEOUT, type ExchangeCommand, type Outcome, Upstream } from "./upstream.ts";
