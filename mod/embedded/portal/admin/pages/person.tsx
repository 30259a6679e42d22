/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** One user or client: devices, sessions, and what policies give. */
import { Conditions, policiesFor } from "../access.tsx";
import { Ago, Expiry, Facts, Muted, Name, Online, Pager, Section, Table } from "../components.tsx";
import { DeviceLink, ResourceLink } from "../links.tsx";
import { SessionTable } from "./sessions.tsx";
import type { ActorPolicy } from "../../policy/policy.ts";
import { type Page, PAGE_SIZE, slice, type View } from "../view.ts";

export function personPage(view: View, actor: ActorPolicy): Page {
  const { snapshot } = view;
  const devices = snapshot.clients().filter(({ owner }) => owner === actor.name);
  const shown = slice(devices, view.url);
  const tokens = snapshot.tokens.filter(({ role, owner }) => role === "client" && owner === actor.name)
    .sort((a, b) => b.createdAt - a.createdAt);
  const given = snapshot.policy.resources
    .map((resource) => ({ resource, policies: policiesFor(snapshot, actor, resource) }))
    .filter(({ policies }) => policies.length > 0);
  return {
    title: actor.name,
    body: (
      <>
        <p class="trail">
          <a href={`${view.base}/people`}>People</a>
        </p>
        <h1>
          <Name text={actor.kind === "user" ? actor.displayName : actor.name} />
        </h1>
        <Facts
          facts={[
            ["Name in policies", <Name text={actor.name} />],
            ["Kind", actor.kind === "user" ? "user, signs in with a browser" : "client with a token"],
            ["Groups", actor.groups.length === 0 ? "none" : <Name text={actor.groups.join(", ")} />],
            ...actor.kind === "user"
              ? [
                ["Mail", actor.email === undefined ? "–" : <Name text={actor.email} />],
                ["Admin", actor.admin ? "yes" : "no"],
                ["One-time password", actor.totpSecret ? "yes" : "no"],
              ] as const
              : [],
            ["Ends", <Expiry at={actor.expiresAt} now={snapshot.unixNow} />],
          ]}
        />
        <Section title="Devices">
          <Table
            caption="Devices"
            rows={shown.rows}
            keyOf={({ id }) => id}
            empty={<p>None has connected yet.</p>}
            columns={[
              { title: "Device", cell: ({ id }) => <DeviceLink view={view} id={id} /> },
              { title: "State", cell: ({ session }) => <Online yes={session !== undefined} /> },
              {
                title: "Since",
                cell: ({ session }) => session ? <Ago at={session.since} now={snapshot.unixNow} /> : "–",
              },
              { title: "From", cell: ({ session }) => session ? <Name text={session.remoteIp} /> : "–" },
              { title: "Verified", cell: ({ verified }) => verified ? "yes" : <Muted>no</Muted> },
            ]}
          />
          <Pager of={shown} view={view} noun="device" />
        </Section>
        <Section title="May use" note="By policies; whether a device may right now is on the device's page.">
          <Table
            caption="Resources"
            rows={given}
            keyOf={({ resource }) => resource.id}
            empty={<p>Nothing: no policy names this {actor.kind} or its groups.</p>}
            columns={[
              { title: "Resource", cell: ({ resource }) => <ResourceLink view={view} id={resource.id} /> },
              {
                title: "When",
                cell: ({ policies }) => (
                  <ul class="plain">
                    {policies.map((policy) => (
                      <li>
                        <Conditions policy={policy} />
                      </li>
                    ))}
                  </ul>
                ),
              },
            ]}
          />
        </Section>
        <Section
          title="Sessions and tokens"
          note="Made while the portal runs; one in the policy file is not listed."
        >
          <SessionTable
            view={view}
            tokens={tokens.slice(0, PAGE_SIZE)}
            withOwner={false}
            empty={<p>None.</p>}
          />
        </Section>
      </>
    ),
  };
}
