/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** Client devices: who is there, from where, and over which path. */
import { Ago, Expiry, Muted, Name, Online, Pager, Search, Snippet, Table } from "../components.tsx";
import { plural } from "../format.ts";
import { ActorLink, DeviceLink } from "../links.tsx";
import { PathState } from "../traffic.tsx";
import type { DeviceDetails } from "../../core/device_details.ts";
import { type Page, searchText, slice, type View } from "../view.ts";

const STATES = ["all", "online", "offline", "verified", "unverified"] as const;

export function devicesPage(view: View): Page {
  const { snapshot } = view;
  const wanted = searchText(view.url);
  const state = STATES.find((one) => one === view.url.searchParams.get("state")) ?? "all";
  const all = snapshot.clients();
  const shown = slice(all.filter((one) => matches(one, wanted) && isIn(one, state)), view.url);
  const online = all.filter(({ session }) => session).length;
  return {
    title: "Devices",
    body: (
      <>
        <h1>Devices</h1>
        <p class="muted">{plural(all.length, "device")}, {online} online.</p>
        <Search view={view} label="Devices">
          <label>
            Name, person or address <input type="search" name="q" value={wanted} />
          </label>
          <label>
            State{" "}
            <select name="state">
              {STATES.map((one) => <option value={one} selected={one === state}>{one}</option>)}
            </select>
          </label>
        </Search>
        <Table
          caption="Devices"
          rows={shown.rows}
          keyOf={({ id }) => id}
          empty={all.length > 0 ? <p>No device is like that.</p> : (
            <>
              <p>No device has connected yet. From another machine, with a client's token, as root:</p>
              <Snippet text={`postern client --api-url ${view.apiUrl} "$(cat laptop.token)"`} />
            </>
          )}
          columns={[
            { title: "Device", cell: ({ id }) => <DeviceLink view={view} id={id} /> },
            { title: "Person", cell: ({ owner }) => <ActorLink view={view} name={owner} /> },
            { title: "State", cell: ({ session }) => <Online yes={session !== undefined} /> },
            {
              title: "Since",
              cell: ({ session }) => session ? <Ago at={session.since} now={snapshot.unixNow} /> : "–",
            },
            { title: "From", cell: ({ session }) => session ? <Name text={session.remoteIp} /> : "–" },
            { title: "Path", cell: ({ id, session }) => session ? <Paths view={view} id={id} /> : "–" },
            { title: "Verified", cell: ({ verified }) => verified ? "yes" : <Muted>no</Muted> },
            {
              title: "Session ends",
              cell: ({ session }) => session ? <Expiry at={session.expiresAt} now={snapshot.unixNow} /> : "–",
            },
          ]}
        />
        <Pager of={shown} view={view} noun="device" />
      </>
    ),
  };
}

function Paths({ view, id }: { view: View; id: string }) {
  const paths = new Set(view.snapshot.connectionsOf(id).map(({ client }) => client.path));
  if (paths.size === 0) return <Muted>none</Muted>;
  return <>{[...paths].map((path) => <PathState path={path} />)}</>;
}

function matches({ name, owner, ipv4, ipv6, externalId, session }: DeviceDetails, wanted: string): boolean {
  if (wanted === "") return true;
  return [name, owner, ipv4, ipv6, externalId, session?.remoteIp ?? ""]
    .some((text) => text.toLowerCase().includes(wanted));
}

function isIn({ session, verified }: DeviceDetails, state: typeof STATES[number]): boolean {
  switch (state) {
    case "all":
      return true;
    case "online":
      return session !== undefined;
    case "offline":
      return session === undefined;
    case "verified":
      return verified;
    case "unverified":
      return !verified;
  }
}
