/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** One resource: what it is, by which policies whom it is given, who may use it right now, and who does. */
import { Allowed, Conditions, Verdict } from "../access.tsx";
import { Expiry, Facts, Name, Pager, Section, State, Table } from "../components.tsx";
import { ActorLink, DeviceLink } from "../links.tsx";
import { addressText, filtersText } from "../words.ts";
import { names, type ResourcePolicy } from "../../policy/policy.ts";
import { type Page, slice, type View } from "../view.ts";

const GRANTS_SHOWN = 100;

export function resourcePage(view: View, resource: ResourcePolicy): Page {
  const { snapshot } = view;
  const policies = snapshot.policy.accessPolicies.filter(({ resourceId }) => resourceId === resource.id);
  const named = new Set(
    snapshot.policy.actors.filter((actor) => policies.some((policy) => names(policy, actor))).map((
      { name },
    ) => name),
  );
  const devices = slice(snapshot.clients().filter(({ owner }) => named.has(owner)), view.url);
  const grants = snapshot.grantsOfResource(resource.id);
  return {
    title: resource.name,
    body: (
      <>
        <p class="trail">
          <a href={`${view.base}/resources`}>Resources and policies</a>
        </p>
        <h1>
          <Name text={resource.name} />
        </h1>
        <Facts
          facts={[
            ["Address", <Name text={addressText(resource)} />],
            ["Allowed traffic", filtersText(resource.filters)],
            ["Sites", <SiteStates view={view} resource={resource} />],
            ...resource.description === undefined
              ? []
              : [["Description", <Name text={resource.description} />]] as const,
            ...resource.target.type === "dns"
              ? [[
                "Addresses",
                { dual: "IPv4 and IPv6", ipv4_only: "IPv4 only", ipv6_only: "IPv6 only" }[resource.ipStack],
              ]] as const
              : [],
            ["Id", <code>{resource.id}</code>],
          ]}
        />
        <Section title="Policies" note="Tried in this order; the first whose conditions hold decides.">
          <Table
            caption="Policies"
            rows={policies}
            keyOf={({ id }) => id}
            empty={
              <p>
                None: nobody may use it. Name somebody in the resource's <code>allow</code>, or add a{" "}
                <code>[[policy]]</code>.
              </p>
            }
            columns={[
              { title: "Policy", cell: ({ name }) => <Name text={name} /> },
              { title: "Who", cell: (policy) => <Allowed view={view} policy={policy} /> },
              { title: "When", cell: (policy) => <Conditions policy={policy} /> },
            ]}
          />
        </Section>
        <Section title="Who can reach it" note="Devices of people whom a policy names.">
          <Table
            caption="Devices"
            rows={devices.rows}
            keyOf={({ id }) => id}
            empty={
              <p>
                {named.size === 0
                  ? "Nobody."
                  : "None of those whom policies name has connected a device yet."}
              </p>
            }
            columns={[
              { title: "Device", cell: ({ id }) => <DeviceLink view={view} id={id} /> },
              { title: "Person", cell: ({ owner }) => <ActorLink view={view} name={owner} /> },
              { title: "Now", cell: (device) => <Verdict view={view} device={device} resource={resource} /> },
            ]}
          />
          <Pager of={devices} view={view} noun="device" />
        </Section>
        <Section title="Granted now" note="Clients that asked for it.">
          <Table
            caption="Grants"
            rows={grants.slice(0, GRANTS_SHOWN)}
            keyOf={({ clientId }) => clientId}
            empty={<p>None.</p>}
            columns={[
              { title: "Client", cell: ({ clientId }) => <DeviceLink view={view} id={clientId} /> },
              {
                title: "Through gateway",
                cell: ({ gatewayId }) => <DeviceLink view={view} id={gatewayId} />,
              },
              { title: "Ends", cell: ({ expiresAt }) => <Expiry at={expiresAt} now={snapshot.unixNow} /> },
            ]}
          />
          {grants.length > GRANTS_SHOWN && <p class="muted">And {grants.length - GRANTS_SHOWN} more.</p>}
        </Section>
      </>
    ),
  };
}

function SiteStates({ view: { snapshot }, resource }: { view: View; resource: ResourcePolicy }) {
  if (resource.siteIds.length === 0) return <State mood="bad">none: nobody reaches it</State>;
  const gateways = snapshot.gateways();
  return (
    <ul class="plain">
      {resource.siteIds.map((id) => {
        const online = gateways.filter(({ session, owner }) => session && owner === id).length;
        return (
          <li>
            <Name text={snapshot.siteName(id)} />{" "}
            <State mood={online > 0 ? "good" : "bad"}>
              {online === 0 ? "no gateway online" : `${online} online`}
            </State>
          </li>
        );
      })}
    </ul>
  );
}
