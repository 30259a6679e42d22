/** @jsxImportSource hono/jsx */
/** Users who sign in, and clients with a token: everybody whom policies can name. */
import { Muted, Name, Pager, Search, Snippet, State, Table } from "../components.tsx";
import { plural } from "../format.ts";
import { ActorLink } from "../links.tsx";
import { type ActorPolicy } from "../../policy/policy.ts";
import { compareText } from "../snapshot.ts";
import { type Page, searchText, slice, type View } from "../view.ts";

export function peoplePage(view: View): Page {
  const { snapshot } = view;
  const wanted = searchText(view.url);
  const devices = Map.groupBy(snapshot.clients(), ({ owner }) => owner);
  const matches = snapshot.policy.actors
    .filter((actor) => wanted === "" || matchesText(actor, wanted))
    .toSorted((a, b) => compareText(a.name, b.name));
  const shown = slice(matches, view.url);
  return {
    title: "People",
    body: (
      <>
        <h1>People</h1>
        <p class="muted">
          Users sign in with a browser; clients are machines with a token. Both are made in the policy file
          (<code>[[user]]</code>, <code>[[client]]</code>) or by <code>postern portal user add</code> and{" "}
          <code>postern portal client add</code>.
        </p>
        <Search view={view} label="People">
          <label>
            Name, group or mail <input type="search" name="q" value={wanted} />
          </label>
        </Search>
        <Table
          caption="People"
          rows={shown.rows}
          keyOf={({ name }) => name}
          empty={wanted !== "" ? <p>Nobody is called so.</p> : (
            <>
              <p>The policy knows nobody yet. Add somebody to the policy file:</p>
              <Snippet text={`[[client]]\nname = "laptop"\ntoken_file = "laptop.token"`} />
            </>
          )}
          columns={[
            {
              title: "Name",
              cell: (actor) => (
                <>
                  <ActorLink view={view} name={actor.name} />
                  {actor.kind === "user" && actor.displayName !== actor.name && (
                    <>
                      {" "}
                      <Muted>
                        <Name text={actor.displayName} />
                      </Muted>
                    </>
                  )}
                </>
              ),
            },
            {
              title: "Kind",
              cell: (actor) => actor.kind === "client" ? "client" : actor.admin ? "user, admin" : "user",
            },
            {
              title: "Groups",
              cell: ({ groups }) => groups.length === 0 ? "–" : <Name text={groups.join(", ")} />,
            },
            {
              title: "Devices",
              cell: ({ name }) => {
                const mine = devices.get(name) ?? [];
                const online = mine.filter(({ session }) => session).length;
                if (mine.length === 0) return <Muted>none</Muted>;
                return (
                  <State mood={online > 0 ? "good" : "idle"}>
                    {online} of {plural(mine.length, "device")} online
                  </State>
                );
              },
            },
          ]}
        />
        <Pager of={shown} view={view} noun="entry" />
      </>
    ),
  };
}

function matchesText(actor: ActorPolicy, wanted: string): boolean {
  const texts = [actor.name, ...actor.groups];
  if (actor.kind === "user") texts.push(actor.displayName, actor.email ?? "");
  return texts.some((text) => text.toLowerCase().includes(wanted));
}
