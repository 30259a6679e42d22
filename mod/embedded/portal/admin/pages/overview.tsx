/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** Is everything well? What is there, what needs somebody, and what to do where nothing is yet. */
import { attentionOf } from "../attention.ts";
import { Ago, Muted, Name, Section, State, Table } from "../components.tsx";
import { plural } from "../format.ts";
import { Rates } from "../traffic.tsx";
import type { DeviceDetails } from "../../core/device_details.ts";
import type { Rate } from "../live_state.ts";
import type { Snapshot } from "../snapshot.ts";
import type { Page, View } from "../view.ts";
import { FirstSteps, isEmpty } from "./first_steps.tsx";

const PROBLEMS_SHOWN = 10;
const PROBLEM_LENGTH = 500;

export function overview(view: View, version: string | undefined): Page {
  const { snapshot } = view;
  const attention = attentionOf(snapshot);
  const worst = attention[0]?.mood ?? "good";
  const verdict = worst === "good"
    ? "All is well"
    : `${plural(attention.length, "thing")} ${attention.length === 1 ? "needs" : "need"} attention`;
  const steps = isEmpty(snapshot);
  return {
    title: "Overview",
    body: (
      <>
        <h1>Overview</h1>
        {(!steps || attention.length > 0) && (
          <section class={`verdict ${worst}`} aria-label="State">
            <h2>
              <State mood={worst}>{verdict}</State>
            </h2>
            {attention.length > 0 && (
              <ul>{attention.map(({ mood, text }) => <li class={mood}>{text}</li>)}</ul>
            )}
          </section>
        )}
        {steps && <FirstSteps view={view} />}
        <Tiles view={view} />
        <Section title="Sites">
          <Sites view={view} />
        </Section>
        <Section title="Last problems" note="Warnings of this portal since it started.">
          <Problems view={view} />
        </Section>
        {version !== undefined && <p class="muted">Postern {version}</p>}
      </>
    ),
  };
}

function Tiles({ view }: { view: View }) {
  const { snapshot, base } = view;
  const gateways = snapshot.gateways(), clients = snapshot.clients();
  const online = (devices: readonly DeviceDetails[]) => devices.filter(({ session }) => session).length;
  const reports = gateways.map((gateway) => snapshot.gatewayLive(gateway)).filter((live) =>
    live !== undefined
  );
  const connections = reports.flatMap(({ report }) => report.clients);
  const relayed = connections.filter(({ path }) => path === "relayed").length;
  const total = totalOf(reports.map((live) => live.total));
  const relays = new Map<string, boolean>();
  for (const { report } of reports) {
    for (const { id, ready } of report.relays) relays.set(id, ready || (relays.get(id) ?? false));
  }
  const ready = [...relays.values()].filter((one) => one).length;
  return (
    <ul class="tiles">
      <li>
        <a href={`${base}/gateways`}>
          <b>
            {online(gateways)}
            <small>/{gateways.length}</small>
          </b>{" "}
          gateways online
        </a>
      </li>
      <li>
        <a href={`${base}/devices`}>
          <b>
            {online(clients)}
            <small>/{clients.length}</small>
          </b>{" "}
          clients online
        </a>
      </li>
      <li>
        <b>
          {reports.length === 0 ? "–" : connections.length}
          {relayed > 0 && <small>{` ${relayed} relayed`}</small>}
        </b>{" "}
        connections
      </li>
      <li>
        <b class="rates">{total ? <Rates rate={total} /> : "–"}</b> traffic now
      </li>
      <li>
        <b>
          {relays.size === 0 ? "–" : (
            <>
              {ready}
              <small>/{relays.size}</small>
            </>
          )}
        </b>{" "}
        relays reached
      </li>
      <li>
        <a href={`${base}/resources`}>
          <b>{snapshot.policy.resources.length}</b> resources
        </a>
      </li>
    </ul>
  );
}

function totalOf(totals: readonly (Rate | undefined)[]): Rate | undefined {
  const known = totals.filter((rate) => rate !== undefined);
  if (known.length === 0) return undefined;
  return known.reduce((sum, rate) => ({ in: sum.in + rate.in, out: sum.out + rate.out }), { in: 0, out: 0 });
}

interface SiteRow {
  readonly id: string;
  readonly name: string;
  readonly gateways: readonly DeviceDetails[];
  readonly resources: number;
}

function Sites({ view }: { view: View }) {
  const { snapshot, base } = view;
  const gateways = snapshot.gateways();
  const rows = snapshot.policy.sites.map(({ id, name }): SiteRow => ({
    id,
    name,
    gateways: gateways.filter(({ owner }) => owner === id),
    resources: snapshot.policy.resources.filter(({ siteIds }) => siteIds.includes(id)).length,
  }));
  return (
    <Table
      caption="Sites"
      rows={rows}
      keyOf={(row) => row.id}
      empty={<p>The policy has no site. A site is a place with gateways: add one to the policy file.</p>}
      columns={[
        {
          title: "Site",
          cell: (row) => (
            <a href={`${base}/gateways#${row.id}`}>
              <Name text={row.name} />
            </a>
          ),
        },
        { title: "Gateways", cell: (row) => <SiteState row={row} /> },
        {
          title: "Connected clients",
          numeric: true,
          cell: (row) => connectedTo(snapshot, row.gateways) ?? "–",
        },
        {
          title: "Traffic now",
          cell: (row) => {
            const totals = row.gateways.map((gateway) => snapshot.gatewayLive(gateway)?.total);
            const total = totalOf(totals);
            return total ? <Rates rate={total} /> : "–";
          },
        },
        { title: "Resources", numeric: true, cell: (row) => row.resources },
      ]}
    />
  );
}

function SiteState({ row }: { row: SiteRow }) {
  const online = row.gateways.filter(({ session }) => session).length;
  if (row.gateways.length === 0) return <State mood="idle">none ever connected</State>;
  const mood = online === 0 ? "bad" : online < row.gateways.length ? "warn" : "good";
  return <State mood={mood}>{online} of {row.gateways.length} online</State>;
}

/** Undefined when no gateway reports. */
function connectedTo(snapshot: Snapshot, gateways: readonly DeviceDetails[]): number | undefined {
  const lives = gateways.map((one) => snapshot.gatewayLive(one)).filter((live) => live !== undefined);
  return lives.length === 0 ? undefined : new Set(
    lives.flatMap(({ report }) => report.clients.map(({ client_id }) => client_id)),
  ).size;
}

function Problems({ view: { snapshot } }: { view: View }) {
  const problems = snapshot.live.problems.slice(-PROBLEMS_SHOWN).reverse();
  if (problems.length === 0) return <p class="empty">None.</p>;
  return (
    <ul class="log">
      {problems.map(({ at, text, times }) => (
        <li data-key={`${text} ${at}`}>
          <Ago at={at} now={snapshot.unixNow} /> <Name text={text} limit={PROBLEM_LENGTH} />
          {times > 1 && <Muted>{` (${times} times)`}</Muted>}
        </li>
      ))}
    </ul>
  );
}
