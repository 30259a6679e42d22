/** All targets by name, in the order of the packet's way. */
import { target as candidate } from "./candidate_fuzz.ts";
import { target as channelData } from "./channel_data_fuzz.ts";
import { target as cli } from "./cli_fuzz.ts";
import { target as controlPacket } from "./control_packet_fuzz.ts";
import { target as dns } from "./dns_fuzz.ts";
import { target as dnsMessage } from "./dns_message_fuzz.ts";
import { target as embeddedPortal } from "./embedded_portal_fuzz.ts";
import { target as ice } from "./ice_fuzz.ts";
import { target as icmpError } from "./icmp_error_fuzz.ts";
import { target as ipHeader } from "./ip_header_fuzz.ts";
import { target as loginUrl } from "./login_url_fuzz.ts";
import { target as node } from "./node_fuzz.ts";
import { target as packetQueue } from "./packet_queue_fuzz.ts";
import { target as policyFile } from "./policy_file_fuzz.ts";
import { target as policy } from "./policy_fuzz.ts";
import { target as portalMessages } from "./portal_messages_fuzz.ts";
import { target as portalSession } from "./portal_session_fuzz.ts";
import { target as relay } from "./relay_fuzz.ts";
import { target as splitter } from "./splitter_fuzz.ts";
import { target as stun } from "./stun_fuzz.ts";
import { target as turn } from "./turn_fuzz.ts";
import { target as wireguard } from "./wireguard_fuzz.ts";
import type { FuzzTarget } from "./target.ts";

export const TARGETS: Readonly<Record<string, FuzzTarget>> = {
  ip_header: ipHeader,
  icmp_error: icmpError,
  splitter,
  packet_queue: packetQueue,
  stun,
  channel_data: channelData,
  candidate,
  control_packet: controlPacket,
  ice,
  turn,
  policy,
  wireguard,
  node,
  relay,
  dns_message: dnsMessage,
  dns,
  portal_messages: portalMessages,
  portal_session: portalSession,
  login_url: loginUrl,
  embedded_portal: embeddedPortal,
  policy_file: policyFile,
  cli,
};
