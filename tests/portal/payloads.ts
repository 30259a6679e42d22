/** The specification's example payloads, as fresh values that a test may change. */
import {
  CLIENT_ID,
  CLIENT_KEY,
  GATEWAY_ID,
  GATEWAY_KEY,
  PRESHARED_KEY,
  RELAY_ID,
  RESOURCE_ID,
  SITE_ID,
} from "./support.ts";

type Json = Record<string, unknown>;

export function relayEntry(addr: string): Json {
  return {
    type: "turn",
    id: RELAY_ID,
    addr,
    username: "1761004800:kB8gD4KFbA5XSOXCQW+7SqIFp6Rf6vtEPQY4WVvUe9s",
    password: "4sW8ucHJlGcXYf78HZMzJtLGAsqWqx4bHSbVHUDd+fs",
    expires_at: 1761004800,
  };
}

export function gatewayInit(): Json {
  return {
    interface: { ipv4: "100.64.7.9", ipv6: "fd00:2021:1111::709" },
    config: { ipv4_masquerade_enabled: true, ipv6_masquerade_enabled: true },
    account_slug: "acme",
    relays: [relayEntry("203.0.113.10:3478"), relayEntry("[2001:db8::10]:3478")],
    authorizations: [{ client_id: CLIENT_ID, resource_id: RESOURCE_ID }],
  };
}

export function cidrResource(): Json {
  return {
    type: "cidr",
    id: RESOURCE_ID,
    address: "10.20.0.0/16",
    name: "Intranet",
    filters: [{ protocol: "tcp", port_range_start: 443, port_range_end: 443 }, { protocol: "icmp" }],
  };
}

const ICE = {
  client_ice_credentials: { username: "zbsy", password: "xxli47zshbmu3ktnzxwx2g" },
  gateway_ice_credentials: { username: "4w4b", password: "puzxwigc5sygzlkdlz3etq" },
};

export function authorizeFlow(): Json {
  return {
    ref: "SFMyNTY.g2gDbQAAA",
    resource: cidrResource(),
    client: {
      id: CLIENT_ID,
      public_key: CLIENT_KEY,
      preshared_key: PRESHARED_KEY,
      ipv4: "100.70.12.34",
      ipv6: "fd00:2021:1111::6:c22",
    },
    ...structuredClone(ICE),
    expires_at: 1753952400,
  };
}

/** `request_connection`: what a client older than 1.4 causes. */
export function requestConnection(): Json {
  return {
    ref: "SFMyNTY.g2gDbQAAA",
    resource: { ...cidrResource(), type: "dns", address: "*.corp.example" },
    expires_at: 1753952400,
    client: {
      id: CLIENT_ID,
      payload: {
        ice_parameters: { username: "zbsy", password: "xxli47zshbmu3ktnzxwx2g" },
        domain: { name: "wiki.corp.example", proxy_ips: ["100.96.0.1", "fd00:2021:1111:8000::1"] },
      },
      peer: {
        persistent_keepalive: 25,
        public_key: CLIENT_KEY,
        preshared_key: PRESHARED_KEY,
        ipv4: "100.70.12.34",
        ipv6: "fd00:2021:1111::6:c22",
      },
    },
  };
}

/** `allow_access`: one more resource for such a client. */
export function allowAccess(): Json {
  return {
    ref: "SFMyNTY.g2gDbQAAB",
    client_id: CLIENT_ID,
    client_ipv4: "100.70.12.34",
    client_ipv6: "fd00:2021:1111::6:c22",
    resource: cidrResource(),
    expires_at: null,
    payload: null,
  };
}

/** The same as a newer portal sends it. */
export function createAuthorization(): Json {
  const payload = authorizeFlow();
  Object.assign(payload.client as Json, { version: "1.5.12", device_serial: null, device_os_name: "macOS" });
  return { ...payload, use_iceless: false, flow_logs_ingest_token: "a.b.c", subject: { actor: {} } };
}

export function clientInit(): Json {
  const sites = [{ id: SITE_ID, name: "HQ" }];
  return {
    interface: {
      ipv4: "100.70.12.34",
      ipv6: "fd00:2021:1111::6:c22",
      upstream_dns: [{ protocol: "ip_port", address: "1.1.1.1:53" }],
      search_domain: null,
    },
    resources: [
      {
        id: RESOURCE_ID,
        type: "cidr",
        address: "10.20.0.0/16",
        address_description: null,
        name: "Intranet",
        gateway_groups: sites,
        filters: [{ protocol: "tcp", port_range_start: 443, port_range_end: 443 }],
      },
      {
        id: "2f0b4f0e-93a1-4f5c-8d55-b5b4a7b0a001",
        type: "dns",
        address: "*.corp.example",
        address_description: "https://wiki.corp.example",
        name: "Corp web",
        gateway_groups: sites,
        ip_stack: "dual",
        filters: [],
      },
      {
        id: "9d3c7f6a-1d2e-4b8f-a7c6-0e1f2a3b4c5d",
        type: "internet",
        gateway_groups: sites,
        can_be_disabled: true,
      },
    ],
    relays: [relayEntry("203.0.113.10:3478")],
  };
}

export function flowCreated(): Json {
  return {
    resource_id: RESOURCE_ID,
    gateway_id: GATEWAY_ID,
    gateway_group_id: SITE_ID,
    gateway_public_key: GATEWAY_KEY,
    gateway_ipv4: "100.64.7.9",
    gateway_ipv6: "fd00:2021:1111::709",
    preshared_key: PRESHARED_KEY,
    ...structuredClone(ICE),
  };
}

/** `postern_report`: what a gateway tells a portal that asks for it. */
export function gatewayReport(): Json {
  return {
    uptime_secs: 5,
    version: "0.1.0",
    clients: [{
      client_id: CLIENT_ID,
      path: "direct",
      rtt_ms: 12.5,
      bytes_in: 1,
      bytes_out: 2,
      last_handshake_secs: null,
    }],
    relays: [{ id: RELAY_ID, ready: false, rtt_ms: null }],
    events: [{
      at: 1_700_000_000,
      kind: "denied",
      client_id: CLIENT_ID,
      resource_id: RESOURCE_ID,
      protocol: "icmp",
      destination: "10.0.0.9",
      port: null,
    }],
  };
}
