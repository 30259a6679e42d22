/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** One client device: its session, its live connections, and what it may use right now. */
import { policiesFor, Verdict } from "../access.tsx";
import { Action, Ago, Expiry, Facts, Name, Online, Pager, Section, Snippet, Table } from "../components.tsx";
import { visible } from "../format.ts";
import { ActorLink, DeviceLink, ResourceLink, SiteNames } from "../links.tsx";
import { Handshake, PathState, Rates, RoundTrip, Totals } from "../traffic.tsx";
import { happeningsOf, HappeningTable } from "./activity.tsx";
import type { DeviceDetails } from "../../core/device_details.ts";
import { type Page, slice, type View } from "../view.ts";

const EVENTS_SHOWN = 10;

export function devicePage(view: View, device: DeviceDetails): Page {
  const { snapshot } = view;
  const { session } = device;
  return {
    title: device.name,
    body: (
      <>
        <p class="trail">
          <a href={`${view.base}/devices`}>Devices</a>
        </p>
        <h1>
          <Name text={device.name} /> <Online yes={session !== undefined} />
        </h1>
        <DeviceFacts view={view} device={device} />
        <Connections view={view} device={device} />
        <May view={view} device={device} />
        <Section title="Granted now" note="What it asked for and uses, or may use without asking again.">
          <Table
            caption="Grants"
            rows={snapshot.grantsOfClient(device.id)}
            keyOf={({ resourceId }) => resourceId}
            empty={<p>Nothing. A client asks when it first uses a resource.</p>}
            columns={[
              { title: "Resource", cell: ({ resourceId }) => <ResourceLink view={view} id={resourceId} /> },
              {
                title: "Through gateway",
                cell: ({ gatewayId }) => <DeviceLink view={view} id={gatewayId} />,
              },
              { title: "Ends", cell: ({ expiresAt }) => <Expiry at={expiresAt} now={snapshot.unixNow} /> },
            ]}
          />
        </Section>
        <Section
          title="Recent flows and denials"
          note={<a href={`${view.base}/activity?client=${device.id}`}>All of them</a>}
        >
          <HappeningTable
            view={view}
            happenings={happeningsOf(view, device.id, EVENTS_SHOWN)}
            empty={<p>None was reported.</p>}
          />
        </Section>
        <Actions view={view} device={device} />
      </>
    ),
  };
}

function DeviceFacts({ view, device }: { view: View; device: DeviceDetails }) {
  const { snapshot } = view;
  const { session } = device;
  const groups = snapshot.actor(device.owner)?.groups ?? [];
  return (
    <Facts
      facts={[
        ["Person", <ActorLink view={view} name={device.owner} />],
        ["Groups", groups.length === 0 ? "none" : <Name text={groups.join(", ")} />],
        ["Verified", device.verified ? "yes" : "no"],
        [
          "Tunnel addresses",
          <>
            {device.ipv4}
            <br />
            {device.ipv6}
          </>,
        ],
        ...session
          ? [
            ["Online since", <Ago at={session.since} now={snapshot.unixNow} />],
            [
              "Connects from",
              <>{visible(session.remoteIp)}{session.region && ` (${visible(session.region)})`}</>,
            ],
            ["Session ends", <Expiry at={session.expiresAt} now={snapshot.unixNow} />],
            [
              "Came with",
              session.providerId === undefined ? "a token" : (
                <>
                  a sign-in by <Name text={session.providerId} />
                </>
              ),
            ],
            ["Version", session.version ?? "unknown"],
            ["Protocol", session.dialect === "v2" ? "v2 (current)" : "v1"],
            ["User agent", <Name text={session.userAgent} />],
          ] as const
          : [],
        ["Device id", <Name text={device.externalId} />],
        ["Id", <code>{device.id}</code>],
      ]}
    />
  );
}

function Connections({ view, device }: { view: View; device: DeviceDetails }) {
  const { snapshot } = view;
  if (!device.session) return null;
  const connections = snapshot.connectionsOf(device.id);
  const silent = snapshot.gateways().some((gateway) => gateway.session && !snapshot.gatewayLive(gateway));
  return (
    <Section title="Connections">
      <Table
        caption="Connections to gateways"
        rows={connections}
        keyOf={({ gateway }) => gateway.id}
        empty={<p>None{silent && ", as far as the gateways that report know"}.</p>}
        columns={[
          { title: "Gateway", cell: ({ gateway }) => <DeviceLink view={view} id={gateway.id} /> },
          { title: "Path", cell: ({ client }) => <PathState path={client.path} /> },
          { title: "Round trip", numeric: true, cell: ({ client }) => <RoundTrip ms={client.rtt_ms} /> },
          { title: "Traffic now", cell: ({ rate }) => <Rates rate={rate} /> },
          { title: "In total", cell: ({ client }) => <Totals in={client.bytes_in} out={client.bytes_out} /> },
          {
            title: "Last handshake",
            cell: ({ client }) => <Handshake secs={client.last_handshake_secs} />,
          },
        ]}
      />
    </Section>
  );
}

function May({ view, device }: { view: View; device: DeviceDetails }) {
  const { snapshot } = view;
  const actor = snapshot.actor(device.owner);
  const { resources } = snapshot.policy;
  const given = actor ? resources.filter((one) => policiesFor(snapshot, actor, one).length > 0) : [];
  const shown = slice(given, view.url);
  const others = resources.length - given.length;
  return (
    <Section title="May use" note={device.session ? "As things are right now." : "The device is offline."}>
      <Table
        caption="Resources"
        rows={shown.rows}
        keyOf={({ id }) =>
          id}
        empty={
          <p>
            {actor
              ? "Nothing: no policy names its person or a group of theirs."
              : "Nothing: its person is gone from the policy."}
          </p>
        }
        columns={[
          { title: "Resource", cell: ({ id }) => <ResourceLink view={view} id={id} /> },
          { title: "Now", cell: (resource) => <Verdict view={view} device={device} resource={resource} /> },
          { title: "Site", cell: ({ siteIds }) => <SiteNames view={view} ids={siteIds} /> },
        ]}
      />
      <Pager of={shown} view={view} noun="resource" />
      {given.length > 0 && others > 0 && (
        <p class="muted">
          No policy gives it the other {others}.
        </p>
      )}
    </Section>
  );
}

function Actions({ view, device }: { view: View; device: DeviceDetails }) {
  const { session, verified } = device;
  return (
    <Section title="Actions">
      <div class="actions">
        <Action
          view={view}
          path={`/devices/${device.id}/verify`}
          label={verified ? "Take the verified mark away" : "Mark as verified"}
          button={verified ? "Take it away" : "Mark as verified"}
          danger={verified}
          fields={{ verified: verified ? "no" : "yes" }}
          warning={verified
            ? "It loses at once what only verified devices may use."
            : "Do this when you know that this is the device that you think it is. It may use at once what only verified devices may."}
        />
        {session && (
          <Action
            view={view}
            path={`/devices/${device.id}/disconnect`}
            label="Disconnect"
            button="Disconnect this device"
            warning="It connects again by itself while its token is good. To keep it out, revoke the session."
          />
        )}
        {session?.tokenId !== undefined && (
          <Action
            view={view}
            path={`/sessions/${session.tokenId}/revoke`}
            label="Revoke the session"
            button="Revoke this session"
            warning="It is out at once, and can't come back before somebody signs in again or gives it another token."
          />
        )}
      </div>
      {session && session.tokenId === undefined && (
        <p class="muted">Its token is in the policy file: to keep it out, take it out there.</p>
      )}
      {!session && (
        <>
          <p class="muted">
            Sessions of a device that is offline are on its person's page. To forget it, with its addresses
            and its mark:
          </p>
          <Snippet text={`postern portal device remove ${device.id}`} />
        </>
      )}
    </Section>
  );
}
