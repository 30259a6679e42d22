/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** One gateway: where it is, what it carries for whom, and which relays it reaches. */
import { LATE_REPORT } from "../attention.ts";
import {
  Action,
  Ago,
  Expiry,
  Facts,
  Muted,
  Name,
  Online,
  Pager,
  Section,
  State,
  Table,
} from "../components.tsx";
import { duration, plural, relative } from "../format.ts";
import { DeviceLink } from "../links.tsx";
import { Handshake, PathState, Rates, RoundTrip, Sparkline, Totals } from "../traffic.tsx";
import { relayId } from "../../policy/policy.ts";
import type { DeviceDetails } from "../../core/device_details.ts";
import type { GatewayLive } from "../live_state.ts";
import { MAX_REPORTED_CLIENTS, type ReportedClient } from "../../../../portal/types.ts";
import { type Page, slice, type View } from "../view.ts";

export function gatewayPage(view: View, gateway: DeviceDetails): Page {
  const { snapshot } = view;
  const { session } = gateway;
  const live = snapshot.gatewayLive(gateway);
  return {
    title: gateway.name,
    body: (
      <>
        <p class="trail">
          <a href={`${view.base}/gateways`}>Sites and gateways</a>
        </p>
        <h1>
          <Name text={gateway.name} /> <Online yes={session !== undefined} />
        </h1>
        <Facts
          facts={[
            ["Site", <Name text={snapshot.siteName(gateway.owner)} />],
            [
              "Tunnel addresses",
              <>
                {gateway.ipv4}
                <br />
                {gateway.ipv6}
              </>,
            ],
            ...session
              ? [
                ["Online since", <Ago at={session.since} now={snapshot.unixNow} />],
                ["Connects from", <Name text={session.remoteIp} />],
                ["Version", <Versions gateway={gateway} live={live} />],
                ["Protocol", session.dialect === "v2" ? "v2 (current)" : "v1"],
                ["User agent", <Name text={session.userAgent} />],
                ["Session ends", <Expiry at={session.expiresAt} now={snapshot.unixNow} />],
              ] as const
              : [],
            ["Id", <code>{gateway.id}</code>],
          ]}
        />
        {session && !live && (
          <p class="notice">
            No live data from this gateway. Gateways of this project report paths, round trips and traffic
            every few seconds; others don't know how.
          </p>
        )}
        {live && <Live view={view} live={live} />}
        {session && (
          <Section title="Actions">
            <Action
              view={view}
              path={`/devices/${gateway.id}/disconnect`}
              label="Disconnect"
              button="Disconnect this gateway"
              warning="It connects again by itself, with the same token. Clients move to another gateway of the site meanwhile, where there is one."
            />
          </Section>
        )}
      </>
    ),
  };
}

function Versions({ gateway, live }: { gateway: DeviceDetails; live: GatewayLive | undefined }) {
  const presented = gateway.session?.version ?? "unknown";
  return live
    ? (
      <>
        <Name text={live.report.version} /> <Muted>(presents itself as {presented})</Muted>
      </>
    )
    : <>{presented}</>;
}

function Live({ view, live }: { view: View; live: GatewayLive }) {
  const { unixNow } = view.snapshot;
  const { report, total, at } = live;
  const late = unixNow - at >= LATE_REPORT;
  const shown = slice(report.clients.toSorted(byTraffic(live)), view.url);
  const more = report.clients.length >= MAX_REPORTED_CLIENTS ? "; the busiest of them" : "";
  return (
    <>
      <Section
        title="Traffic"
        note={
          <>
            Reported <span class={late ? "late" : ""}>{relative(at, unixNow)}</span>.
          </>
        }
      >
        <div class="meter">
          <Rates rate={total} />
          <Sparkline history={live.history} />
          <Muted>running for {duration(report.uptime_secs)}</Muted>
        </div>
      </Section>
      <Section title="Connected clients" note={`${plural(report.clients.length, "client")}${more}`}>
        <Table
          caption="Connected clients"
          rows={shown.rows}
          keyOf={(client) => client.client_id}
          empty={<p>None. Clients connect when they first use a resource of this site.</p>}
          columns={[
            { title: "Client", cell: ({ client_id }) => <DeviceLink view={view} id={client_id} /> },
            { title: "Path", cell: ({ path }) => <PathState path={path} /> },
            { title: "Round trip", numeric: true, cell: ({ rtt_ms }) => <RoundTrip ms={rtt_ms} /> },
            { title: "Traffic now", cell: ({ client_id }) => <Rates rate={live.rates.get(client_id)} /> },
            { title: "In total", cell: (one) => <Totals in={one.bytes_in} out={one.bytes_out} /> },
            {
              title: "Last handshake",
              cell: ({ last_handshake_secs }) => <Handshake secs={last_handshake_secs} />,
            },
          ]}
        />
        <Pager of={shown} view={view} noun="client" />
      </Section>
      <Section title="Relays" note="Through which clients reach it when there is no direct path.">
        <Table
          caption="Relays"
          rows={report.relays}
          keyOf={(relay) => relay.id}
          empty={<p>It knows no relay. Clients behind difficult NATs can't connect.</p>}
          columns={[
            { title: "Relay", cell: ({ id }) => <RelayName view={view} id={id} /> },
            {
              title: "State",
              cell: ({ ready }) => (
                <State mood={ready ? "good" : "bad"}>{ready ? "ready" : "not reached"}</State>
              ),
            },
            { title: "Round trip", numeric: true, cell: ({ rtt_ms }) => <RoundTrip ms={rtt_ms} /> },
          ]}
        />
      </Section>
    </>
  );
}

function RelayName({ view, id }: { view: View; id: string }) {
  const { relays, policy } = view.snapshot;
  const known = relays.find((relay) => relay.id === id);
  const fixed = policy.relays.find(({ stampSecret }) => relayId(stampSecret) === id);
  if (fixed) return <>{[fixed.v4, fixed.v6].flatMap((address) => address?.key ?? []).join(", ")}</>;
  if (!known) return <code>{id}</code>;
  return (
    <>
      <Name text={known.name} />{" "}
      <Muted>
        <Name text={known.addresses.join(", ")} />
      </Muted>
    </>
  );
}

/** The busiest now, then those with the most traffic in total. */
function byTraffic(live: GatewayLive): (a: ReportedClient, b: ReportedClient) => number {
  const now = ({ client_id }: ReportedClient) => {
    const rate = live.rates.get(client_id);
    return rate ? rate.in + rate.out : 0;
  };
  const total = ({ bytes_in, bytes_out }: ReportedClient) => bytes_in + bytes_out;
  return (a, b) => now(b) - now(a) || total(b) - total(a);
}
