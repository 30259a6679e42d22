/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** Sessions of people who signed in, and tokens that were made while the portal runs. */
import type { Child } from "hono/jsx";
import { Action, Ago, Expiry, Name, Pager, Search, Section, Snippet, State, Table } from "../components.tsx";
import { visible } from "../format.ts";
import { ActorLink, DeviceLink } from "../links.tsx";
import type { TokenRecord } from "../../core/tokens.ts";
import { type Page, searchText, slice, type View } from "../view.ts";

/** Days that a new token may last; empty: for ever. */
export const LIFETIMES = ["1", "7", "30", "90", "365", ""] as const;

export function sessionsPage(view: View): Page {
  const wanted = searchText(view.url);
  const found = view.snapshot.tokens
    .filter(({ owner }) => owner.toLowerCase().includes(wanted))
    .toSorted((a, b) => b.createdAt - a.createdAt);
  const shown = slice(found, view.url);
  return {
    title: "Sessions",
    body: (
      <>
        <h1>Sessions and tokens</h1>
        <p class="muted">
          Signing in makes a session; a token is made here or by a verb. Tokens of the policy file are not
          listed: they come and go with the file.
        </p>
        <Search view={view} label="Sessions">
          <label>
            Of whom <input type="search" name="q" value={wanted} />
          </label>
        </Search>
        <SessionTable
          view={view}
          tokens={shown.rows}
          withOwner
          empty={<p>{wanted === "" ? "Nobody has signed in, and no token was made." : "None."}</p>}
        />
        <Pager of={shown} view={view} noun="session" />
        <Section title="Make a token" note="It is shown once.">
          <TokenForm view={view} />
        </Section>
      </>
    ),
  };
}

export function SessionTable({ view, tokens, withOwner, empty }: {
  view: View;
  tokens: readonly TokenRecord[];
  withOwner: boolean;
  empty: Child;
}) {
  const { snapshot } = view;
  const { unixNow } = snapshot;
  const devices = Map.groupBy(
    [...snapshot.devices.values()].filter(({ session }) => session?.tokenId !== undefined),
    ({ session }) => session!.tokenId!,
  );
  const owner = {
    title: "Of",
    cell: ({ role, owner }: TokenRecord) =>
      role === "gateway"
        ? (
          <>
            gateway <Name text={owner} />
          </>
        )
        : <ActorLink view={view} name={owner} />,
  };
  const made = {
    title: "Made",
    cell: ({ createdAt }: TokenRecord) => <Ago at={createdAt} now={unixNow} />,
  };
  return (
    <Table
      caption="Sessions and tokens"
      rows={tokens}
      keyOf={({ id }) => id}
      empty={empty}
      columns={[
        ...withOwner ? [owner, made] : [made],
        {
          title: "By",
          cell: ({ providerId }) =>
            providerId === undefined ? "token" : (
              <>
                sign-in: <Name text={providerId} />
              </>
            ),
        },
        {
          title: "Ends",
          cell: ({ expiresAt }) =>
            expiresAt <= unixNow
              ? <State mood="idle">expired</State>
              : <Expiry at={expiresAt} now={unixNow} />,
        },
        {
          title: "Devices online",
          cell: ({ id }) => {
            const mine = devices.get(id) ?? [];
            if (mine.length === 0) return "none";
            return (
              <ul class="plain">
                {mine.slice(0, 5).map((device) => (
                  <li>
                    <DeviceLink view={view} id={device.id} />
                  </li>
                ))}
                {mine.length > 5 && <li>and {mine.length - 5} more</li>}
              </ul>
            );
          },
        },
        {
          title: "Revoke",
          cell: ({ id }) => (
            <Action
              view={view}
              path={`/sessions/${id}/revoke`}
              label="Revoke"
              button="Revoke"
              warning="Devices that came with it are out at once."
            />
          ),
        },
      ]}
    />
  );
}

function TokenForm({ view }: { view: View }) {
  const { policy } = view.snapshot;
  const clients = policy.actors.filter(({ kind }) => kind === "client");
  if (clients.length + policy.gateways.length === 0) {
    return <p class="empty">The policy has no gateway and no client that a token could be for.</p>;
  }
  return (
    <form class="fields" method="post" action={`${view.base}/sessions`}>
      {view.csrf}
      <label>
        For{" "}
        <select name="for" required>
          <option value="">Choose…</option>
          <optgroup label="Gateways">
            {policy.gateways.map(({ name }) => <option value={`gateway ${name}`}>{visible(name)}</option>)}
          </optgroup>
          <optgroup label="Clients">
            {clients.map(({ name }) => <option value={`client ${name}`}>{visible(name)}</option>)}
          </optgroup>
        </select>
      </label>
      <label>
        Good for{" "}
        <select name="days">
          {LIFETIMES.map((days) => (
            <option value={days} selected={days === "90"}>
              {days === "" ? "ever" : days === "1" ? "1 day" : `${days} days`}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" class="primary">Make a token</button>
    </form>
  );
}

/** What is shown after a token was made, and never again. */
export function newTokenPage(view: View, record: TokenRecord, token: string): Page {
  const { role, owner, expiresAt } = record;
  return {
    title: "New token",
    once: true,
    body: (
      <>
        <h1>New token</h1>
        <p>
          For {role} <Name text={owner} />; ends: <Expiry at={expiresAt} now={view.snapshot.unixNow} />.{" "}
          <strong>Copy it now: it is not shown again.</strong>
        </p>
        <Snippet text={token} />
        <p>The {role} is started with it, as root:</p>
        <Snippet
          text={role === "gateway"
            ? `FIREZONE_TOKEN=${token} postern gateway --api-url ${view.apiUrl} --masquerade`
            : `FIREZONE_TOKEN=${token} postern client --api-url ${view.apiUrl}`}
        />
        <p>
          <a href={`${view.base}/sessions`}>Back to sessions and tokens</a>
        </p>
      </>
    ),
  };
}
