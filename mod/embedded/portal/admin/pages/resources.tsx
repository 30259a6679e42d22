/** @jsxImportSource hono/jsx */
/** Resources with who may use them, and the search for an address: "who can reach this?" */
import { Allowed, Conditions } from "../access.tsx";
import { Muted, Name, Pager, Search, Snippet, Table } from "../components.tsx";
import { ResourceLink, SiteNames } from "../links.tsx";
import { covers } from "../reach.ts";
import { addressText, filtersText } from "../words.ts";
import type { ResourcePolicy } from "../../policy/policy.ts";
import { type Page, searchText, slice, type View } from "../view.ts";

export function resourcesPage(view: View): Page {
  const { snapshot } = view;
  const { resources, accessPolicies } = snapshot.policy;
  const wanted = searchText(view.url);
  const found = wanted === "" ? resources : resources.filter((one) => isMeant(one, wanted));
  const shown = slice(found, view.url);
  const policies = Map.groupBy(accessPolicies, ({ resourceId }) => resourceId);
  return {
    title: "Resources",
    body: (
      <>
        <h1>Resources and policies</h1>
        <p class="muted">
          Made in the policy file (<code>[[resource]]</code>, <code>[[policy]]</code>) or by{" "}
          <code>postern portal resource add</code>; changes are in force at once.
        </p>
        <Search view={view} label="Resources">
          <label>
            Who can reach{" "}
            <input type="search" name="q" value={wanted} placeholder="10.0.0.7, wiki.corp.example, a name" />
          </label>
        </Search>
        <Table
          caption="Resources"
          rows={shown.rows}
          keyOf={({ id }) => id}
          empty={wanted !== "" ? <p>Nobody: no resource covers it, and none is called so.</p> : (
            <>
              <p>There is nothing to reach yet. Add a resource to the policy file:</p>
              <Snippet text={`[[resource]]\nname = "wiki"\naddress = "10.50.0.0/24"\nallow = ["everyone"]`} />
            </>
          )}
          columns={[
            {
              title: "Resource",
              cell: (one) => (
                <>
                  <ResourceLink view={view} id={one.id} />
                  {one.description !== undefined && (
                    <>
                      <br />
                      <Muted>
                        <Name text={one.description} />
                      </Muted>
                    </>
                  )}
                </>
              ),
            },
            { title: "Address", cell: (one) => <Name text={addressText(one)} /> },
            { title: "Traffic", cell: ({ filters }) => filtersText(filters) },
            { title: "Site", cell: ({ siteIds }) => <SiteNames view={view} ids={siteIds} /> },
            {
              title: "Who, and when",
              cell: ({ id }) => {
                const mine = policies.get(id) ?? [];
                if (mine.length === 0) return <Muted>nobody</Muted>;
                return (
                  <ul class="plain">
                    {mine.map((policy) => (
                      <li>
                        <Allowed view={view} policy={policy} />: <Conditions policy={policy} />
                      </li>
                    ))}
                  </ul>
                );
              },
            },
          ]}
        />
        <Pager of={shown} view={view} noun="resource" />
      </>
    ),
  };
}

function isMeant(resource: ResourcePolicy, wanted: string): boolean {
  const texts = [resource.name, addressText(resource), resource.description ?? ""];
  return covers(resource.target, wanted) || texts.some((text) => text.toLowerCase().includes(wanted));
}
