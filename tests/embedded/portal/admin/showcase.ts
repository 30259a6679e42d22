/** A company with three sites, in the middle of a working day: every page has something to show. */
import {
  ADMIN,
  AdminWorld,
  allow,
  device,
  EMPTY_POLICY,
  grant,
  NOW,
  report,
  reported,
  resource,
  session,
  site,
  user,
} from "./admin_world.ts";
import { parseCidr } from "../../../../mod/portal/cidr.ts";
import {
  type ActorPolicy,
  type Condition,
  FAR_FUTURE,
} from "../../../../mod/embedded/portal/policy/policy.ts";

const WORKING_HOURS: Condition = {
  property: "current_utc_datetime",
  ranges: [1, 2, 3, 4, 5].map((day) => ({ day, from: 9 * 3600, to: 17 * 3600, zone: "Europe/Berlin" })),
};
const VERIFIED: Condition = { property: "client_verified" };
const IN_OFFICE: Condition = {
  property: "remote_ip",
  negated: false,
  cidrs: [parseCidr("203.0.113.0/24")!, parseCidr("2001:db8:5::/48")!],
};
const RELAYS = [
  { id: "0d4c6b2a-7e8f-4a1b-b2c3-d4e5f6a7b855", ready: true, rtt_ms: 8.4 },
  { id: "7b1e3c2a-11aa-4f1b-9c3d-0242ac120002", ready: true, rtt_ms: 23.1 },
];
const CLIENT: Omit<Extract<ActorPolicy, { kind: "client" }>, "name"> = {
  kind: "client",
  token: undefined,
  groups: [],
  expiresAt: FAR_FUTURE,
};

export function showcase(world = new AdminWorld()): AdminWorld {
  const sites = ["office", "datacenter", "lab"].map(site);
  const [office, datacenter, lab] = sites as [
    typeof sites[0] & object,
    typeof sites[0] & object,
    typeof sites[0] & object,
  ];
  const wiki = resource("wiki", "wiki.corp.example", {
    description: "https://wiki.corp.example",
    filters: [{ protocol: "tcp", portStart: 443, portEnd: 443 }],
  });
  const intranet = resource("intranet", "10.20.0.0/16", {
    filters: [{ protocol: "icmp" }, { protocol: "tcp", portStart: 80, portEnd: 80 }, {
      protocol: "tcp",
      portStart: 8000,
      portEnd: 8100,
    }],
  });
  const database = resource("production database", "10.40.0.5", {
    siteIds: [datacenter.id],
    filters: [{ protocol: "tcp", portStart: 5432, portEnd: 5432 }],
  });
  const bench = resource("measuring bench", "*.bench.corp.example", { siteIds: [lab.id] });
  const internet = resource("Internet", "internet", { siteIds: [datacenter.id] });
  const resources = [wiki, intranet, database, bench, internet];
  const actors: ActorPolicy[] = [
    ADMIN,
    user("anna", {
      displayName: "Anna Bergström",
      email: "anna@corp.example",
      groups: ["engineering", "on-call"],
    }),
    user("bela", { displayName: "Béla Kovács", groups: ["engineering"] }),
    user("chidi", { groups: ["sales"] }),
    { ...CLIENT, name: "backup-server", groups: ["machines"] },
    { ...CLIENT, name: "build-runner", groups: ["machines"] },
  ];
  world.policy = {
    ...EMPTY_POLICY,
    sites,
    gateways: [
      { name: "office-1", siteId: office.id, token: undefined },
      { name: "dc-1", siteId: datacenter.id, token: undefined },
      { name: "lab-1", siteId: lab.id, token: undefined },
    ],
    actors,
    resources,
    accessPolicies: [
      allow(wiki, ["everyone"]),
      allow(intranet, ["engineering", "sales"], [WORKING_HOURS]),
      allow(intranet, ["machines"]),
      allow(database, ["on-call", "backup-server"], [VERIFIED, IN_OFFICE]),
      allow(bench, ["engineering"]),
      allow(internet, ["anna"], [VERIFIED]),
    ],
  };
  const token = (
    owner: string,
    providerId: string | undefined,
    days: number,
    role: "client" | "gateway" = "client",
  ) => {
    const record = {
      id: crypto.randomUUID(),
      hash: "",
      role,
      owner,
      providerId,
      createdAt: NOW - 86_400 * 2,
      expiresAt: days === Infinity ? FAR_FUTURE : NOW + days * 86_400,
    };
    world.tokenList.push(record);
    return record;
  };
  const annas = token("anna", "password", 5), belas = token("bela", "password", 1.5);
  const servers = token("backup-server", undefined, 4),
    gateways = token("office-1", undefined, Infinity, "gateway");

  const gw = {
    userAgent: "Debian/13 connlib/1.5.0 (x86_64; 6.12.30)",
    version: "1.5.0",
    expiresAt: FAR_FUTURE,
  };
  const office1 = device("gateway", office.id, "office-gw-1", {
    session: session({
      ...gw,
      remoteIp: "203.0.113.7",
      since: NOW - 86_400 * 9 - 7_000,
      tokenId: gateways.id,
    }),
  });
  const office2 = device("gateway", office.id, "office-gw-2", {
    session: session({ ...gw, remoteIp: "203.0.113.8", since: NOW - 3_000 }),
    ipv4: "100.64.7.10",
  });
  const dc1 = device("gateway", datacenter.id, "dc-gw", {
    session: session({
      ...gw,
      remoteIp: "2001:db8:77::5",
      dialect: "v1",
      version: "1.4.12",
      since: NOW - 86_400 * 31,
    }),
    ipv4: "100.64.7.11",
  });
  const lab1 = device("gateway", lab.id, "lab-gw", { session: undefined, ipv4: "100.64.7.12" });
  const laptop = device("client", "anna", "Anna’s laptop", {
    verified: true,
    session: session({ remoteIp: "203.0.113.44", tokenId: annas.id, providerId: "password" }),
    ipv4: "100.70.12.34",
  });
  const phone = device("client", "anna", "Pixel 9", {
    session: session({
      remoteIp: "198.51.100.90",
      region: "DE",
      since: NOW - 240,
      userAgent: "Android/15 android-client/1.5.8 (arm64)",
      version: "1.5.8",
    }),
    ipv4: "100.70.12.35",
  });
  const belasMac = device("client", "bela", "Bela-MacBook-Pro.local", {
    session: session({
      remoteIp: "2001:db8:9:1::abcd",
      tokenId: belas.id,
      providerId: "password",
      expiresAt: belas.expiresAt,
      userAgent: "Mac OS/15.5 apple-client/1.5.11 (arm64; 24.5.0)",
      version: "1.5.11",
      dialect: "v1",
    }),
    ipv4: "100.70.12.36",
  });
  const server = device("client", "backup-server", "backup-01", {
    session: session({ remoteIp: "192.0.2.10", tokenId: servers.id, since: NOW - 86_400 * 3 }),
    verified: true,
    ipv4: "100.70.12.37",
  });
  const gone = device("client", "chidi", "Chidi-Windows", { session: undefined, ipv4: "100.70.12.38" });
  world.deviceList = [office1, office2, dc1, lab1, laptop, phone, belasMac, server, gone];
  world.grantList = [
    grant(laptop, wiki, office1),
    grant(laptop, intranet, office1),
    grant(phone, wiki, office2),
    grant(belasMac, intranet, office1),
    grant(server, intranet, office2),
  ];
  for (let i = 0; i <= 40; i++) {
    const wave = (mean: number) =>
      Math.round(mean * (10 * i + 20 * (1 - Math.cos(i / 4)) + 5 * (1 - Math.cos(i))));
    const at = NOW - (40 - i) * 10 - 3;
    world.handleReport(
      office1,
      report(
        [
          reported(laptop, {
            rtt_ms: 11.8,
            bytes_in: 9e6 + wave(175_000),
            bytes_out: 1.2e9 + wave(9_000_000),
          }),
          reported(belasMac, {
            path: "relayed",
            rtt_ms: 48.2,
            bytes_in: 7e5 + 900 * i,
            bytes_out: 6.4e7 + 40_000 * i,
            last_handshake_secs: 97,
          }),
        ],
        i === 40
          ? [
            {
              at: at - 62,
              kind: "flow",
              client_id: laptop.id,
              resource_id: intranet.id,
              protocol: "tcp",
              destination: "10.20.3.14",
              port: 8080,
              bytes_in: 18_234,
              bytes_out: 2_934_112,
            },
            {
              at: at - 55,
              kind: "denied",
              client_id: belasMac.id,
              resource_id: intranet.id,
              protocol: "tcp",
              destination: "10.20.3.14",
              port: 22,
            },
            {
              at: at - 20,
              kind: "flow",
              client_id: laptop.id,
              resource_id: wiki.id,
              protocol: "tcp",
              destination: "wiki.corp.example",
              port: 443,
              bytes_in: 4_120,
              bytes_out: 91_222,
            },
            {
              at: at - 4,
              kind: "denied",
              client_id: belasMac.id,
              resource_id: null,
              protocol: "icmp",
              destination: "10.40.0.5",
              port: null,
            },
          ]
          : [],
        { uptime_secs: 780_000 + 10 * i, relays: RELAYS },
      ),
      at,
    );
    world.handleReport(
      office2,
      report(
        [
          reported(phone, { rtt_ms: 63.7, bytes_in: 81_000 + 60 * i, bytes_out: 902_000 + 500 * i }),
          reported(server, { rtt_ms: 4.4, bytes_in: 5.6e10 + 9e6 * i, bytes_out: 8e7 + 11_000 * i }),
        ],
        [],
        { uptime_secs: 2_990 + 10 * i, relays: [RELAYS[0]!, { ...RELAYS[1]!, ready: false, rtt_ms: null }] },
      ),
      at,
    );
  }
  world.relayList = [{
    id: RELAYS[0]!.id,
    name: "relay-fra",
    addresses: ["203.0.113.10:3478", "[2001:db8::10]:3478"],
  }];
  world.happenings.push(
    {
      at: NOW - 11,
      count: 3,
      kind: "access_refused",
      clientId: phone.id,
      resourceId: database.id,
      reason: "forbidden",
      violated: ["client_verified", "remote_ip"],
    },
    {
      at: NOW - 6_900,
      count: 2,
      kind: "login_refused",
      role: "client",
      remoteIp: "192.0.2.66",
      name: "kali",
      code: "invalid_token",
      detail: "The token is unknown, expired, or of another role.",
    },
  );
  world.live.handleProblem(
    "Refused a client: 401 invalid_token, The token is unknown, expired, or of another role.",
    NOW - 7_000,
  );
  world.live.handleProblem(
    "Refused a client: 401 invalid_token, The token is unknown, expired, or of another role.",
    NOW - 6_900,
  );
  world.live.handleProblem(
    'Closing gateway "lab-gw" (1f0b0a52-6c5e-8b1c-9d2e-3f4a5b6c7d8e): idle.',
    NOW - 1_300,
  );
  return world;
}
