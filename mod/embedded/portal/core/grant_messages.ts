/** What both ends are told of a grant, in terms that every generation understands (spec portal §3.2, §4.3, §4.10). */
import type { Id } from "../../../portal/types.ts";
import { nameBasedId, targetText } from "../policy/policy.ts";
import type { Connection } from "./connection.ts";
import { ingestToken } from "./ingest_token.ts";
import { pairIceCredentials, pairPresharedKey } from "./pair_credentials.ts";
import type { Selection } from "./selection.ts";

export interface GrantMessages {
  /** For the gateway, to which the ref is to be added. */
  readonly request: object;
  /** For the client, once the gateway has confirmed. */
  readonly answer: object;
}

export interface GrantContext {
  readonly slug: string;
  /** Unix seconds. */
  readonly unixNow: number;
  readonly signingKey: Uint8Array;
}

/** `authorize_flow` / `create_authorization` and `flow_created` / `authorization_created` */
export function grantMessages(
  client: Connection,
  selection: Selection,
  context: GrantContext,
): GrantMessages {
  const { gateway, resource, expiresAt } = selection;
  const ice = pairIceCredentials(client.member, gateway.member);
  const presharedKey = pairPresharedKey(
    client.member,
    client.device.secret,
    gateway.member,
    gateway.device.secret,
  );
  const claims = claimsOf(client.device.id, selection, context);
  const token = (role: "initiator" | "responder") => ingestToken({ ...claims, role }, context.signingKey);
  const shared = {
    client_ice_credentials: ice.client,
    gateway_ice_credentials: ice.gateway,
    use_iceless: false,
  };
  return {
    answer: {
      resource_id: resource.id,
      gateway_id: gateway.device.id,
      gateway_group_id: gateway.device.owner,
      gateway_public_key: gateway.admission.publicKey,
      gateway_ipv4: gateway.device.ipv4,
      gateway_ipv6: gateway.device.ipv6,
      preshared_key: presharedKey,
      ...shared,
      flow_logs_ingest_token: token("initiator"),
    },
    request: {
      client: { ...clientView(client), preshared_key: presharedKey },
      ...shared,
      expires_at: expiresAt,
      flow_logs_ingest_token: token("responder"),
      subject: {},
    },
  };
}

function clientView({ device, admission }: Connection) {
  const { hardware } = device;
  return {
    id: device.id,
    public_key: admission.publicKey,
    ipv4: device.ipv4,
    ipv6: device.ipv6,
    version: admission.version?.join(".") ?? null,
    device_serial: hardware.deviceSerial ?? null,
    device_uuid: hardware.deviceUuid ?? null,
    device_os_name: null,
    device_os_version: null,
    identifier_for_vendor: hardware.identifierForVendor ?? null,
    firebase_installation_id: hardware.firebaseInstallationId ?? null,
  };
}

function claimsOf(clientId: Id, selection: Selection, { slug, unixNow }: GrantContext) {
  const { actor, gateway, resource, policy, expiresAt } = selection;
  return {
    accountId: nameBasedId("account", slug),
    clientId,
    gatewayId: gateway.device.id,
    authorizationId: nameBasedId("authorization", clientId, resource.id, gateway.device.id),
    policyId: policy.id,
    resourceId: resource.id,
    resourceName: resource.name,
    resourceAddress: targetText(resource.target),
    actorId: nameBasedId("actor", actor.name),
    actorName: actor.kind === "user" ? actor.displayName : actor.name,
    authorizedAt: unixNow,
    expiresAt,
  };
}
