/** @jsxImportSource hono/jsx */
// deno-lint-ignore-file jsx-key -- rendered once on the server, never reconciled
/** What to do next in a portal that hasn't all it needs yet, with the right address in every command. */
import { Snippet } from "../components.tsx";
import type { Snapshot } from "../snapshot.ts";
import type { View } from "../view.ts";

/** Whether the portal is still being set up: somebody has to connect, or something to be reached. */
export function isEmpty(snapshot: Snapshot): boolean {
  return missing(snapshot).length > 0;
}

type Step = "gateway" | "resource" | "actor" | "connect_gateway" | "connect_client";

function missing({ policy, devices }: Snapshot): Step[] {
  const steps: Step[] = [];
  const known = [...devices.values()];
  if (policy.gateways.length === 0) steps.push("gateway");
  else if (!known.some(({ role }) => role === "gateway")) steps.push("connect_gateway");
  if (policy.actors.length === 0) steps.push("actor");
  if (policy.resources.length === 0) steps.push("resource");
  if (!known.some(({ role }) => role === "client")) steps.push("connect_client");
  return steps;
}

export function FirstSteps({ view }: { view: View }) {
  return (
    <section class="steps">
      <h2>Next steps</h2>
      <ol>
        {missing(view.snapshot).map((step) => <li data-key={step}>{stepText(step, view.apiUrl)}</li>)}
      </ol>
    </section>
  );
}

function stepText(step: Step, apiUrl: string) {
  switch (step) {
    case "gateway":
      return (
        <>
          <h3>Add a site and a gateway</h3>
          <p>Write into the policy file; it is read again when you save it:</p>
          <Snippet
            text={`[[site]]\nname = "office"\n\n[[gateway]]\nname = "gateway-1"\nsite = "office"\ntoken_file = "gateway.token" # made when it is not there`}
          />
        </>
      );
    case "connect_gateway":
      return (
        <>
          <h3>Connect a gateway</h3>
          <p>On a machine inside the private network, with the token of a gateway entry, as root:</p>
          <Snippet text={`postern gateway --api-url ${apiUrl} --masquerade "$(cat gateway.token)"`} />
        </>
      );
    case "actor":
      return (
        <>
          <h3>Add somebody who may connect</h3>
          <p>A machine with a token, in the policy file:</p>
          <Snippet
            text={`[[client]]\nname = "laptop"\ntoken_file = "laptop.token" # made when it is not there`}
          />
        </>
      );
    case "resource":
      return (
        <>
          <h3>Add something to reach</h3>
          <p>A network, an address, a private name or the Internet, in the policy file:</p>
          <Snippet
            text={`[[resource]]\nname = "wiki"\naddress = "10.50.0.0/24"\nallow = ["everyone"]\nfilters = ["icmp", "tcp/443"]`}
          />
        </>
      );
    case "connect_client":
      return (
        <>
          <h3>Connect a client</h3>
          <p>A Firezone client with this address as its API URL, or this one, as root:</p>
          <Snippet text={`postern client --api-url ${apiUrl} "$(cat laptop.token)"`} />
        </>
      );
  }
}
