/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** What happened, newest first: flows that ended, packets that gateways denied, what the portal itself refused. */
import type { Child } from "hono/jsx";
import { Moment, Muted, Name, Pager, Search, State, Table } from "../components.tsx";
import { visible } from "../format.ts";
import { DeviceLink, ResourceLink } from "../links.tsx";
import { Totals } from "../traffic.tsx";
import type { Happening } from "../../core/happenings.ts";
import { compareText } from "../snapshot.ts";
import { type Page, searchText, slice, type View } from "../view.ts";
import { refusalText } from "../words.ts";

const KINDS = [["", "everything"], ["flow", "flows"], ["denied", "denials"], [
  "login",
  "refused logins",
]] as const;
const MAX_CHOICES = 500;

type Kind = typeof KINDS[number][0];

export function activityPage(view: View): Page {
  const { snapshot } = view;
  const { recent: all, unixNow } = snapshot;
  const client = view.url.searchParams.get("client") ?? "";
  const resource = view.url.searchParams.get("resource") ?? "";
  const kind = KINDS.find(([value]) => value === view.url.searchParams.get("kind"))?.[0] ?? "";
  const text = searchText(view.url);
  const found = all.filter((one) =>
    (client === "" || clientOf(one) === client) && (resource === "" || resourceOf(one) === resource) &&
    (kind === "" || kindOf(one) === kind) && (text === "" || destinationOf(one).toLowerCase().includes(text))
  ).toReversed().sort((a, b) => Math.min(b.at, unixNow) - Math.min(a.at, unixNow));
  const shown = slice(found, view.url);
  const reporting = snapshot.gateways().some((gateway) => snapshot.gatewayLive(gateway));
  const clients = choices(all.map(clientOf), client, (id) => snapshot.devices.get(id)?.name);
  const resources = choices(all.map(resourceOf), resource, (id) => snapshot.resource(id)?.name);
  return {
    title: "Activity",
    body: (
      <>
        <h1>Flows and denials</h1>
        <p class="muted">
          The latest since this portal started. For a lasting record of flows start gateways with{" "}
          <code>--flow-logs</code>.
        </p>
        <Search view={view} label="Flows and denials">
          <label>
            Show{" "}
            <select name="kind">
              {KINDS.map(([value, name]) => <option value={value} selected={value === kind}>{name}</option>)}
            </select>
          </label>
          <Choice label="Client" name="client" any="all clients" chosen={client} choices={clients} />
          <Choice
            label="Resource"
            name="resource"
            any="all resources"
            chosen={resource}
            choices={resources}
          />
          <label>
            Destination <input type="search" name="q" value={text} />
          </label>
        </Search>
        {!reporting && (
          <p class="notice">
            No gateway that is online reports its flows and denials. Gateways of this project do; here is what
            the portal itself refused.
          </p>
        )}
        <HappeningTable
          view={view}
          happenings={shown.rows}
          empty={
            <p>
              {all.length > 0
                ? "Nothing is like that."
                : "Nothing yet. A flow is listed when it ends, a denial within seconds."}
            </p>
          }
        />
        <Pager of={shown} view={view} noun="event" />
      </>
    ),
  };
}

/** What happened to one client, newest first, no more than `limit`. */
export function happeningsOf(view: View, clientId: string, limit: number): Happening[] {
  return view.snapshot.recent.filter((one) => clientOf(one) === clientId).slice(-limit).reverse();
}

function kindOf(one: Happening): Kind {
  if (one.kind === "login_refused") return "login";
  return one.kind === "gateway" && one.event.kind === "flow" ? "flow" : "denied";
}

/** Empty: of no known client. */
function clientOf(one: Happening): string {
  if (one.kind === "login_refused") return "";
  return one.kind === "gateway" ? one.event.client_id : one.clientId;
}

function resourceOf(one: Happening): string {
  if (one.kind === "login_refused") return "";
  return (one.kind === "gateway" ? one.event.resource_id : one.resourceId) ?? "";
}

function destinationOf(one: Happening): string {
  if (one.kind !== "gateway") return "";
  const { destination, port } = one.event;
  const host = destination.includes(":") && port !== null ? `[${destination}]` : destination;
  return port === null ? host : `${host}:${port}`;
}

function choices(ids: readonly string[], chosen: string, nameOf: (id: string) => string | undefined) {
  const distinct = [...new Set(ids)].filter((id) => id !== "").slice(-MAX_CHOICES);
  if (!distinct.includes(chosen) && nameOf(chosen) !== undefined) distinct.push(chosen);
  return distinct.map((id) => [id, nameOf(id) ?? id] as const).sort(([, a], [, b]) => compareText(a, b));
}

function Choice({ label, name, any, chosen, choices }: {
  label: string;
  name: string;
  any: string;
  chosen: string;
  choices: readonly (readonly [string, string])[];
}) {
  return (
    <label>
      {label}{" "}
      <select name={name}>
        <option value="">{any}</option>
        {choices.map(([id, text]) => <option value={id} selected={id === chosen}>{visible(text)}</option>)}
      </select>
    </label>
  );
}

export function HappeningTable({ view, happenings, empty }: {
  view: View;
  happenings: readonly Happening[];
  empty: Child;
}) {
  return (
    <Table
      caption="Flows and denials"
      rows={keyed(happenings)}
      keyOf={({ key }) => key}
      empty={empty}
      columns={[
        { title: "When", cell: ({ one }) => <Moment at={one.at} /> },
        { title: "What", cell: ({ one }) => <What one={one} /> },
        { title: "Client", cell: ({ one }) => <Client view={view} one={one} /> },
        {
          title: "Resource",
          cell: ({ one }) => resourceOf(one) === "" ? "–" : <ResourceLink view={view} id={resourceOf(one)} />,
        },
        {
          title: "Destination",
          cell: ({ one }) =>
            one.kind === "gateway"
              ? (
                <>
                  <Name text={destinationOf(one)} />{" "}
                  <Muted>
                    <Name text={one.event.protocol} />
                  </Muted>
                </>
              )
              : "–",
        },
        { title: "Traffic or reason", cell: ({ one }) => <Details one={one} /> },
        {
          title: "Gateway",
          cell: ({ one }) => one.kind === "gateway" ? <DeviceLink view={view} id={one.gatewayId} /> : "–",
        },
      ]}
    />
  );
}

function What({ one }: { one: Happening }) {
  const times = one.count > 1 ? ` ×${one.count}` : "";
  if (one.kind === "login_refused") return <State mood="bad">login refused{times}</State>;
  if (one.kind === "access_refused") return <State mood="bad">refused{times}</State>;
  return one.event.kind === "flow"
    ? <State mood="good">flow{times}</State>
    : <State mood="bad">denied{times}</State>;
}

function Client({ view, one }: { view: View; one: Happening }) {
  if (one.kind !== "login_refused") return <DeviceLink view={view} id={clientOf(one)} />;
  return (
    <>
      <Muted>
        <Name text={one.role} />
      </Muted>{" "}
      {one.name !== undefined && <Name text={one.name} />}{" "}
      <Muted>
        from <Name text={one.remoteIp} />
      </Muted>
    </>
  );
}

function Details({ one }: { one: Happening }) {
  if (one.kind === "login_refused") return <Name text={one.detail} />;
  if (one.kind === "access_refused") return <>{refusalText(one.reason, one.violated)}</>;
  const { kind, resource_id, bytes_in = 0, bytes_out = 0 } = one.event;
  if (kind === "flow") return <Totals in={bytes_in} out={bytes_out} />;
  return <>{resource_id === null ? "no grant covers it" : "not in the resource's filters"}</>;
}

/** Keys that stay when newer ones arrive: what it is, and the how manieth of its kind from the oldest. */
function keyed(happenings: readonly Happening[]): { one: Happening; key: string }[] {
  const seen = new Map<string, number>();
  return happenings.toReversed().map((one) => {
    const text = [one.kind, one.at, clientOf(one), resourceOf(one), destinationOf(one)].join(" ");
    const count = (seen.get(text) ?? 0) + 1;
    seen.set(text, count);
    return { one, key: `${text} ${count}` };
  }).reverse();
}
