/**
 * From the text of a policy file, and the objects that verbs made, to a {@link PortalPolicy}. With any mistake it is
 * refused whole, with every mistake's line and key; values are never quoted where they may be secrets.
 */
import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import { SocketAddress } from "../../../packet/address.ts";
import type { Id, Site } from "../../../portal/types.ts";
import { FILE_ONLY_KEYS, mergeObjects, type PolicyObject } from "./objects.ts";
import {
  type AccessPolicy,
  type ActorPolicy,
  EVERYONE,
  FAR_FUTURE,
  type GatewayPolicy,
  nameBasedId,
  ownPolicyId,
  type PortalPolicy,
  type RelayPolicy,
  type RelayToken,
  type ResourcePolicy,
} from "./policy.ts";
import { type Path, PolicyError, Problems, type RawDocument } from "./problems.ts";
import { parseTarget } from "./resource_address.ts";
import {
  type Entry,
  passwordHashSchema,
  type PolicyDocument,
  policySchema,
  tokenSchema,
  totpSecretSchema,
} from "./schema.ts";
import { Uniqueness } from "./uniqueness.ts";

export { PolicyError, type PolicyProblem } from "./problems.ts";

const RELAY_PORT = 3478;
/** Keys whose files may be made: their values mean nothing but themselves. */
const MADE_SECRETS: readonly (string | number)[] = ["token", "secret"];

export interface PolicySource {
  /** Name of the file, for messages. */
  readonly file: string;
  /**
   * The text of a token or secret file that the policy names; throws an Error whose message says why not.
   * @param mayMake any random text would do when there is no such file
   */
  readonly readSecret: (path: string, mayMake: boolean) => string;
}

/**
 * @param objects made by verbs, besides the file's
 * @throws PolicyError with all mistakes
 */
export function parsePolicy(
  text: string,
  source: PolicySource,
  objects: readonly PolicyObject[] = [],
): PortalPolicy {
  const document = parseDocument(text, source.file);
  return new PolicyParser(source, document, objects, new Problems(text, document, objects)).parse();
}

/** The TOML as it is. @throws PolicyError */
export function parseDocument(text: string, file: string): RawDocument {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n")[0]!.replace("Invalid TOML document: ", "");
    throw new PolicyError(file, [
      { line: error.line, key: "", message: `column ${error.column}: ${reason}` },
    ]);
  }
}

class PolicyParser {
  readonly #source: PolicySource;
  readonly #problems: Problems;
  readonly #document: PolicyDocument;
  readonly #sites: readonly Site[];

  constructor(
    source: PolicySource,
    document: RawDocument,
    objects: readonly PolicyObject[],
    problems: Problems,
  ) {
    this.#source = source;
    this.#problems = problems;
    this.#document = this.#read(mergeObjects(document, objects));
    this.#sites = this.#document.site.map(({ name, id }) => ({ id: id ?? nameBasedId("site", name), name }));
  }

  parse(): PortalPolicy {
    const { account, gateway, client, user, resource, policy, relay } = this.#document;
    const gateways = gateway.map((one, i) => this.#gateway(one, ["gateway", i]));
    const actors = [
      ...client.map((one, i) => this.#client(one, ["client", i])),
      ...user.map((one, i) => this.#user(one, ["user", i])),
    ];
    const resources = resource.map((one, i) => this.#resource(one, ["resource", i]));
    const policies = policy.map((one, i) => this.#policy(one, ["policy", i], resources));
    const relays = relay.map((one, i) => this.#relay(one, ["relay", i]));
    const relayTokens = relays.flatMap((one) => one && "token" in one ? [one] : []);
    const unique = new Uniqueness(this.#problems, this.#source.file);
    for (const kind of ["site", "gateway", "resource", "policy"] as const) {
      unique.checkNames({ [kind]: this.#document[kind] });
    }
    unique.checkNames({ client, user });
    unique.checkIds("site", this.#sites);
    unique.checkIds("resource", resources);
    unique.checkTokens([
      ...gateways.map((one, i) => ({ token: one.token, path: ["gateway", i, "token"] })),
      ...client.map((_, i) => ({ token: tokenOf(actors[i]), path: ["client", i, "token"] })),
      ...relays.map((one, i) => ({
        token: one && "token" in one ? one.token : undefined,
        path: ["relay", i, "token"],
      })),
    ]);
    if (this.#problems.found.length > 0) throw new PolicyError(this.#source.file, this.#problems.found);
    return {
      account: { slug: account.slug, dns: account.dns, searchDomain: account.search_domain },
      sites: this.#sites,
      gateways,
      actors,
      accessPolicies: [
        ...resource.flatMap(({ allow }, i) => allow === undefined ? [] : [ownPolicy(resources[i]!, allow)]),
        ...policies.filter((one) => one !== undefined),
      ],
      resources: resources.filter((one) => one !== undefined),
      relays: relays.filter((one) => one !== undefined && "stampSecret" in one),
      relayTokens,
    };
  }

  #read(document: RawDocument): PolicyDocument {
    const result = v.safeParse(policySchema, document);
    if (result.success) return result.output;
    for (const issue of result.issues) {
      const path = issue.path?.map((part) => part.key as string | number) ?? [];
      this.#problems.add(path, describe(issue));
    }
    throw new PolicyError(this.#source.file, this.#problems.found);
  }

  #gateway(one: Entry<"gateway">, path: Path): GatewayPolicy {
    return { name: one.name, siteId: this.#site(one.site, path), token: this.#token(one, path) };
  }

  #client(one: Entry<"client">, path: Path): ActorPolicy {
    this.#notEveryone([one.name, ...one.groups], path);
    return {
      kind: "client",
      name: one.name,
      groups: one.groups,
      token: this.#token(one, path),
      expiresAt: one.expires ?? FAR_FUTURE,
    };
  }

  #user(one: Entry<"user">, path: Path): ActorPolicy {
    this.#notEveryone([one.name, ...one.groups], path);
    const hash = this.#secret(one.password_hash, one.password_hash_file, passwordHashSchema, [
      ...path,
      "password_hash",
    ]);
    const totp = this.#secret(one.totp_secret, one.totp_secret_file, totpSecretSchema, [
      ...path,
      "totp_secret",
    ]);
    return {
      kind: "user",
      name: one.name,
      groups: one.groups,
      expiresAt: one.expires ?? FAR_FUTURE,
      displayName: one.display_name ?? one.name,
      email: one.email,
      passwordHash: hash,
      totpSecret: totp,
      admin: one.admin,
      sessionSeconds: one.session,
    };
  }

  #resource(one: Entry<"resource">, path: Path): ResourcePolicy | undefined {
    const target = parseTarget(one.address.trim());
    if (typeof target === "string") {
      this.#problems.add([...path, "address"], `"${one.address}" ${target}`);
      return undefined;
    }
    if (one.site !== undefined && one.sites !== undefined) {
      this.#problems.add([...path, "sites"], "there is a site already; write one of the two");
    }
    if (one.sites?.length === 0) this.#problems.add([...path, "sites"], "name at least one site");
    const siteIds = one.sites?.map((name) => this.#site(name, [...path, "sites"])) ??
      [this.#site(one.site, path)];
    if (one.allow !== undefined) this.#checkAllow(one.allow, [...path, "allow"]);
    return {
      id: one.id ?? nameBasedId("resource", one.name),
      name: one.name,
      target,
      description: one.description,
      siteIds: [...new Set(siteIds)],
      filters: one.filters,
      ipStack: one.ip_stack,
    };
  }

  #policy(
    one: Entry<"policy">,
    path: Path,
    resources: readonly (ResourcePolicy | undefined)[],
  ): AccessPolicy | undefined {
    this.#checkAllow(one.allow, [...path, "allow"]);
    const { resource } = this.#document;
    const at = resource.findIndex(({ name }) => name === one.resource);
    if (at < 0) {
      const known = resource.map(({ name }) => name).join(", ") || "none";
      this.#problems.add([...path, "resource"], `no resource is called "${one.resource}". Known: ${known}`);
    }
    // A resource with a mistake of its own is reported there.
    const resourceId = resources[at]?.id;
    return resourceId === undefined ? undefined : {
      id: nameBasedId("access", one.name),
      name: one.name,
      resourceId,
      allow: one.allow,
      conditions: one.conditions,
    };
  }

  #relay(one: Entry<"relay">, path: Path): RelayPolicy | RelayToken | undefined {
    if (one.token !== undefined || one.token_file !== undefined) return this.#connectedRelay(one, path);
    const stampSecret = this.#secret(one.secret, one.secret_file, v.string(), [...path, "secret"]);
    if (stampSecret === undefined && one.secret_file === undefined) {
      this.#problems.add(
        path,
        "secret or secret_file is missing; for a relay that connects here, token_file",
      );
    }
    if (one.ipv4 === undefined && one.ipv6 === undefined) {
      this.#problems.add(path, "give it an ipv4 or ipv6 address");
    }
    const port = one.port ?? RELAY_PORT;
    const v4 = one.ipv4 === undefined ? undefined : SocketAddress.of(one.ipv4, port);
    const v6 = one.ipv6 === undefined ? undefined : SocketAddress.of(one.ipv6, port);
    return stampSecret === undefined ? undefined : { stampSecret, ...(v4 && { v4 }), ...(v6 && { v6 }) };
  }

  /** It says itself where it is and with which secret. */
  #connectedRelay(one: Entry<"relay">, path: Path): RelayToken | undefined {
    for (const key of ["ipv4", "ipv6", "port", "secret", "secret_file"] as const) {
      if (one[key] !== undefined) {
        this.#problems.add([...path, key], "a relay with a token says this itself; remove it");
      }
    }
    if (one.name === undefined) this.#problems.add(path, "name is missing");
    const token = this.#token(one, path);
    return token === undefined ? undefined : { name: one.name ?? "", token };
  }

  #checkAllow(allow: readonly string[], path: Path): void {
    const { client, user } = this.#document;
    const known = new Set([EVERYONE, ...[...client, ...user].flatMap((one) => [one.name, ...one.groups])]);
    for (const name of allow) {
      if (known.has(name)) continue;
      const message = `no client, user or group is called "${name}". Known: ${[...known].join(", ")}`;
      this.#problems.add(path, message);
    }
  }

  #notEveryone(names: readonly string[], path: Path): void {
    const at = names.indexOf(EVERYONE);
    if (at >= 0) this.#problems.add([...path, at === 0 ? "name" : "groups"], `"${EVERYONE}" is reserved`);
  }

  /** The id of the named site; without a name, of the only one. */
  #site(name: string | undefined, path: Path): Id {
    if (name === undefined) {
      if (this.#sites.length === 1) return this.#sites[0]!.id;
      const none = this.#sites.length === 0;
      this.#problems.add(path, none ? "there is no [[site]]" : "say which site it belongs to");
      return "";
    }
    const site = this.#sites.find((one) => one.name === name);
    if (site) return site.id;
    const known = this.#sites.map((one) => one.name).join(", ") || "none";
    const at = path.at(-1) === "sites" ? path : [...path, "site"];
    this.#problems.add(at, `no site is called "${name}". Known: ${known}`);
    return "";
  }

  /** Undefined for an object's, which has its tokens in the store. */
  #token(
    one: { token?: string | undefined; token_file?: string | undefined },
    path: Path,
  ): string | undefined {
    const token = this.#secret(one.token, one.token_file, tokenSchema, [...path, "token"]);
    const missing = one.token === undefined && one.token_file === undefined;
    if (missing && this.#problems.objectAt(path) === undefined) {
      this.#problems.add(path, "token or token_file is missing");
    }
    return token;
  }

  /** The value, or that in the file; undefined when there is neither, or a mistake. */
  #secret<T>(
    value: T | undefined,
    file: string | undefined,
    schema: v.GenericSchema<string, T>,
    path: Path,
  ): T | undefined {
    const fileKey = `${path.at(-1)}_file`;
    const filePath = [...path.slice(0, -1), fileKey];
    if (this.#problems.objectAt(path) !== undefined) {
      for (const [key, given] of [[String(path.at(-1)), value], [fileKey, file]] as const) {
        if (given === undefined || !FILE_ONLY_KEYS.includes(key)) continue;
        this.#problems.add([...path.slice(0, -1), key], "only an entry of the policy file may have it");
      }
    }
    if (value !== undefined && file !== undefined) {
      this.#problems.add(filePath, `there is a ${path.at(-1)} already; write one of the two`);
    }
    if (value !== undefined || file === undefined) return value;
    try {
      const result = v.safeParse(
        schema,
        this.#source.readSecret(file, MADE_SECRETS.includes(path.at(-1)!)).trim(),
      );
      if (result.success) return result.output;
      this.#problems.add(filePath, `in ${file}: ${result.issues[0].message}`);
    } catch (error) {
      this.#problems.add(filePath, error instanceof Error ? error.message : String(error));
    }
    return undefined;
  }
}

function tokenOf(actor: ActorPolicy | undefined): string | undefined {
  return actor?.kind === "client" ? actor.token : undefined;
}

/** The policy that a resource's own list makes. */
function ownPolicy({ id, name }: ResourcePolicy, allow: readonly string[]): AccessPolicy {
  return { id: ownPolicyId(id), name, resourceId: id, allow, conditions: [] };
}

function describe(issue: v.BaseIssue<unknown>): string {
  if (issue.kind !== "schema") return issue.message;
  if (issue.expected === "never") return "unknown key";
  if (issue.received === "undefined") return "it is missing";
  // A schema with a message of its own.
  if (!issue.message.startsWith("Invalid ")) return issue.message;
  return `expected ${String(issue.expected).toLowerCase()}`;
}
