/** @jsxImportSource hono/jsx */
/** Sites with their gateways, and whether those are there. */
import type { Child } from "hono/jsx";
import { Ago, Muted, Name, Online, Snippet, Table } from "../components.tsx";
import { DeviceLink } from "../links.tsx";
import { Rates } from "../traffic.tsx";
import type { DeviceDetails } from "../../core/device_details.ts";
import type { Site } from "../../../../portal/types.ts";
import type { Page, View } from "../view.ts";

/** Of one site; whoever has a gateway's token can make more up. */
const MAX_SHOWN = 100;

export function gatewaysPage(view: View): Page {
  const { snapshot } = view;
  const gateways = snapshot.gateways();
  const { sites } = snapshot.policy;
  const strays = gateways.filter(({ owner }) => !sites.some(({ id }) => id === owner));
  return {
    title: "Sites and gateways",
    body: (
      <>
        <h1>Sites and gateways</h1>
        {sites.length === 0 && (
          <div class="empty">
            <p>The policy has no site. A site is a place with gateways. Add both to the policy file:</p>
            <Snippet
              text={`[[site]]\nname = "office"\n\n[[gateway]]\nname = "gateway-1"\nsite = "office"\ntoken_file = "gateway.token"`}
            />
          </div>
        )}
        {sites.map((site) => (
          <SiteSection
            view={view}
            site={site}
            gateways={gateways.filter(({ owner }) => owner === site.id)}
          />
        ))}
        {strays.length > 0 && (
          <section>
            <h2>Of sites that are gone</h2>
            <Gateways view={view} gateways={strays} caption="Gateways of sites that are gone" empty="" />
          </section>
        )}
      </>
    ),
  };
}

function SiteSection({ view, site, gateways }: {
  view: View;
  site: Site;
  gateways: readonly DeviceDetails[];
}) {
  const { policy } = view.snapshot;
  const resources = policy.resources.filter(({ siteIds }) => siteIds.includes(site.id)).length;
  const entries = policy.gateways.filter(({ siteId }) => siteId === site.id).map(({ name }) => name);
  const empty = entries.length === 0
    ? (
      <p>
        No gateway entry of the policy belongs to this site. Add a [[gateway]] with site = "<Name
          text={site.name}
        />".
      </p>
    )
    : (
      <>
        <p>No gateway has connected yet. On a machine inside this site, with the entry's token, as root:</p>
        <Snippet text={`postern gateway --api-url ${view.apiUrl} --masquerade "$(cat gateway.token)"`} />
      </>
    );
  return (
    <section id={site.id} data-key={site.id}>
      <div class="heading">
        <h2>
          <Name text={site.name} />
        </h2>
        <p class="muted">
          {resources} {resources === 1 ? "resource" : "resources"}; gateway entries:{" "}
          {entries.length === 0 ? "none" : <Name text={entries.join(", ")} />}
        </p>
      </div>
      <Gateways view={view} gateways={gateways} caption={`Gateways of ${site.name}`} empty={empty} />
    </section>
  );
}

function Gateways({ view, gateways, caption, empty }: {
  view: View;
  gateways: readonly DeviceDetails[];
  caption: string;
  empty: Child;
}) {
  const { snapshot } = view;
  const live = (gateway: DeviceDetails) => snapshot.gatewayLive(gateway);
  const quiet = (gateway: DeviceDetails) => gateway.session ? <Muted>no live data</Muted> : "–";
  return (
    <>
      <Table
        caption={caption}
        rows={gateways.slice(0, MAX_SHOWN)}
        keyOf={(gateway) => gateway.id}
        empty={empty}
        columns={[
          { title: "Gateway", cell: ({ id }) => <DeviceLink view={view} id={id} /> },
          { title: "State", cell: ({ session }) => <Online yes={session !== undefined} /> },
          {
            title: "Since",
            cell: ({ session }) => session ? <Ago at={session.since} now={snapshot.unixNow} /> : "–",
          },
          {
            title: "Version",
            cell: (one) => <Name text={live(one)?.report.version ?? one.session?.version ?? "–"} />,
          },
          { title: "From", cell: ({ session }) => session ? <Name text={session.remoteIp} /> : "–" },
          {
            title: "Clients",
            numeric: true,
            cell: (one) => live(one)?.report.clients.length ?? quiet(one),
          },
          {
            title: "Traffic now",
            cell: (one) => {
              const state = live(one);
              return state ? <Rates rate={state.total} /> : "–";
            },
          },
        ]}
      />
      {gateways.length > MAX_SHOWN && (
        <p class="muted">And {gateways.length - MAX_SHOWN} more, which are offline or come later by name.</p>
      )}
    </>
  );
}
