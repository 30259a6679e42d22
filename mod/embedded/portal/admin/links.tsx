/** @jsxImportSource hono/jsx */
/** Links between the pages; what is gone is named without one. */
import type { Id } from "../../../portal/types.ts";
import { Muted, Name } from "./components.tsx";
import type { View } from "./view.ts";

export function DeviceLink({ view, id }: { view: View; id: Id }) {
  const device = view.snapshot.devices.get(id);
  if (!device) return <Muted>a device that is gone</Muted>;
  const path = device.role === "gateway" ? "gateways" : "devices";
  return (
    <a href={`${view.base}/${path}/${device.id}`}>
      <Name text={device.name} />
    </a>
  );
}

export function ResourceLink({ view, id }: { view: View; id: Id }) {
  const resource = view.snapshot.resource(id);
  if (!resource) return <Muted>a resource that is gone</Muted>;
  return (
    <a href={`${view.base}/resources/${encodeURIComponent(id)}`}>
      <Name text={resource.name} />
    </a>
  );
}

export function ActorLink({ view, name }: { view: View; name: string }) {
  if (!view.snapshot.actor(name)) return <Name text={name} />;
  return (
    <a href={`${view.base}/people/${encodeURIComponent(name)}`}>
      <Name text={name} />
    </a>
  );
}

export function SiteNames({ view, ids }: { view: View; ids: readonly Id[] }) {
  return (
    <>
      {ids.map((id, index) => (
        <>
          {index > 0 && ", "}
          <Name text={view.snapshot.siteName(id)} />
        </>
      ))}
    </>
  );
}
