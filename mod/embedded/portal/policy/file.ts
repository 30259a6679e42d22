/**
 * From the text of a policy file to a {@link PortalPolicy}. A file with any mistake is refused whole, with every
 * mistake's line and key; values are never quoted where they may be secrets.
 */
import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import { SocketAddress } from "../../../packet/address.ts";
import type { Id, Site } from "../../../portal/types.ts";
import {
  type AccessPolicy,
  type ClientPolicy,
  EVERYONE,
  FAR_FUTURE,
  type GatewayPolicy,
  nameBasedId,
  type PortalPolicy,
  type RelayPolicy,
  type ResourcePolicy,
} from "./policy.ts";
import { type PolicyDocument, policySchema } from "./schema.ts";
import { parseTarget } from "./resource_address.ts";
import { lineOf } from "./toml_lines.ts";

type Path = readonly (string | number)[];

export interface PolicyProblem {
  /** 1-based. */
  readonly line: number | undefined;
  /** `resource[2].address`; empty for the file as a whole. */
  readonly key: string;
  readonly message: string;
}

export class PolicyError extends Error {
  override readonly name = "PolicyError";

  constructor(readonly file: string, readonly problems: readonly PolicyProblem[]) {
    const lines = problems.map(({ line, key, message }) =>
      `${file}${line === undefined ? "" : `:${line}`}: ${key === "" ? "" : `${key}: `}${message}`
    );
    super(`Cannot use the policy: ${problems.length} mistake(s). Correct them:\n${lines.join("\n")}`);
  }
}

export interface PolicySource {
  /** Name of the file, for messages. */
  readonly file: string;
  /** The text of a token or secret file that the policy names; throws an Error whose message says why not. */
  readonly readSecret: (path: string) => string;
}

/** @throws PolicyError with all mistakes */
export function parsePolicy(text: string, source: PolicySource): PortalPolicy {
  return new PolicyParser(text, source).parse();
}

class PolicyParser {
  readonly #text: string;
  readonly #source: PolicySource;
  readonly #problems: PolicyProblem[] = [];
  #sites: readonly Site[] = [];

  constructor(text: string, source: PolicySource) {
    this.#text = text;
    this.#source = source;
  }

  parse(): PortalPolicy {
    const document = this.#read();
    this.#sites = document.site.map(({ name, id }) => ({ id: id ?? nameBasedId("site", name), name }));
    const gateways = document.gateway.map((one, i) => this.#gateway(one, i));
    const actors = document.client.map((one, i) => this.#client(one, i));
    const resources = document.resource.map((one, i) => this.#resource(one, i, document));
    const relays = document.relay.map((one, i) => this.#relay(one, i));
    for (const kind of ["site", "gateway", "client", "resource"] as const) this.#unique(kind, document[kind]);
    this.#uniqueIds("site", this.#sites);
    this.#uniqueIds("resource", resources);
    this.#uniqueTokens(gateways, actors);
    if (this.#problems.length > 0) throw new PolicyError(this.#source.file, this.#problems);
    return {
      account: {
        slug: document.account.slug ?? "postern",
        dns: document.account.dns ?? [],
        searchDomain: document.account.search_domain,
      },
      sites: this.#sites,
      gateways,
      actors,
      accessPolicies: document.resource.flatMap((one, i) => {
        const resource = resources[i];
        return resource ? [ownPolicy(resource, one.allow)] : [];
      }),
      resources: resources.filter((one) => one !== undefined),
      relays: relays.filter((one) => one !== undefined),
    };
  }

  #read(): PolicyDocument {
    let value: unknown;
    try {
      value = parse(this.#text);
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const reason = error.message.split("\n")[0]!.replace("Invalid TOML document: ", "");
      throw new PolicyError(this.#source.file, [
        { line: error.line, key: "", message: `column ${error.column}: ${reason}` },
      ]);
    }
    const result = v.safeParse(policySchema, value);
    if (result.success) return result.output;
    for (const issue of result.issues) {
      const path = issue.path?.map((part) => part.key as string | number) ?? [];
      this.#problem(path, describe(issue));
    }
    throw new PolicyError(this.#source.file, this.#problems);
  }

  #gateway(one: PolicyDocument["gateway"][number], index: number): GatewayPolicy {
    const path = ["gateway", index];
    return { name: one.name, siteId: this.#site(one.site, path), token: this.#token(one, path) };
  }

  #client(one: PolicyDocument["client"][number], index: number): ClientPolicy {
    if (one.name === EVERYONE) this.#problem(["client", index, "name"], `"${EVERYONE}" is reserved`);
    return {
      kind: "client",
      name: one.name,
      groups: one.groups,
      token: this.#token(one, ["client", index]),
      expiresAt: one.expires ?? FAR_FUTURE,
    };
  }

  #resource(
    one: PolicyDocument["resource"][number],
    index: number,
    document: PolicyDocument,
  ): ResourcePolicy | undefined {
    const path = ["resource", index];
    const target = parseTarget(one.address.trim());
    if (typeof target === "string") {
      this.#problem([...path, "address"], `"${one.address}" ${target}`);
      return undefined;
    }
    if (one.site !== undefined && one.sites !== undefined) {
      this.#problem([...path, "sites"], "there is a site already; write one of the two");
    }
    if (one.sites?.length === 0) this.#problem([...path, "sites"], "name at least one site");
    const siteIds = one.sites?.map((name) => this.#site(name, [...path, "sites"])) ??
      [this.#site(one.site, path)];
    const known = new Set([
      EVERYONE,
      ...document.client.flatMap((client) => [client.name, ...client.groups]),
    ]);
    for (const name of one.allow) {
      if (known.has(name)) continue;
      this.#problem(
        [...path, "allow"],
        `no client or group is called "${name}". Known: ${[...known].join(", ")}`,
      );
    }
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

  #relay(one: PolicyDocument["relay"][number], index: number): RelayPolicy | undefined {
    const path = ["relay", index];
    const stampSecret = this.#secret(one.secret, one.secret_file, "secret", path);
    if (one.ipv4 === undefined && one.ipv6 === undefined) {
      this.#problem(path, "give it an ipv4 or ipv6 address");
    }
    const v4 = one.ipv4 === undefined ? undefined : SocketAddress.of(one.ipv4, one.port);
    const v6 = one.ipv6 === undefined ? undefined : SocketAddress.of(one.ipv6, one.port);
    return { stampSecret, ...(v4 && { v4 }), ...(v6 && { v6 }) };
  }

  /** The id of the named site; without a name, of the only one. */
  #site(name: string | undefined, path: Path): Id {
    if (name === undefined) {
      if (this.#sites.length === 1) return this.#sites[0]!.id;
      this.#problem(path, this.#sites.length === 0 ? "there is no [[site]]" : "say which site it belongs to");
      return "";
    }
    const site = this.#sites.find((one) => one.name === name);
    if (site) return site.id;
    const known = this.#sites.map((one) => one.name).join(", ") || "none";
    this.#problem(
      [...path, ...(path.at(-1) === "sites" ? [] : ["site"])],
      `no site is called "${name}". Known: ${known}`,
    );
    return "";
  }

  #token(one: { token?: string | undefined; token_file?: string | undefined }, path: Path): string {
    const token = this.#secret(one.token, one.token_file, "token", path);
    if (token !== "" && !/^[\x21-\x7e]{16,}$/.test(token)) {
      this.#problem([...path, "token_file"], "its token has fewer than 16 characters, or spaces in it");
    }
    return token;
  }

  #secret(value: string | undefined, file: string | undefined, key: string, path: Path): string {
    if (value !== undefined && file !== undefined) {
      this.#problem([...path, `${key}_file`], `there is a ${key} already; write one of the two`);
    }
    if (value !== undefined) return value;
    if (file === undefined) {
      this.#problem(path, `${key} or ${key}_file is missing`);
      return "";
    }
    try {
      return this.#source.readSecret(file).trim();
    } catch (error) {
      this.#problem([...path, `${key}_file`], error instanceof Error ? error.message : String(error));
      return "";
    }
  }

  #unique(kind: string, entries: readonly { readonly name: string }[]): void {
    entries.forEach(({ name }, index) => {
      if (entries.findIndex((one) => one.name === name) === index) return;
      this.#problem([kind, index, "name"], `"${name}" is there already`);
    });
  }

  /** Equal names have equal ids and are reported as such. */
  #uniqueIds(
    kind: string,
    entries: readonly ({ readonly id: Id; readonly name: string } | undefined)[],
  ): void {
    entries.forEach((entry, index) => {
      const twin = entries.find((one) => one !== undefined && one.id === entry?.id);
      if (twin !== entry && twin?.name !== entry?.name) {
        this.#problem([kind, index, "id"], "it is used twice");
      }
    });
  }

  #uniqueTokens(gateways: readonly GatewayPolicy[], clients: readonly ClientPolicy[]): void {
    const seen = new Set<string>();
    const check = (token: string | undefined, path: Path) => {
      if (token === undefined) return;
      if (token !== "" && seen.has(token)) this.#problem(path, "this token is used twice");
      seen.add(token);
    };
    gateways.forEach((one, index) => check(one.token, ["gateway", index, "token"]));
    clients.forEach((one, index) => check(one.token, ["client", index, "token"]));
  }

  #problem(path: Path, message: string): void {
    const key = path.map((
      part,
      i,
    ) => (typeof part === "number" ? `[${part + 1}]` : i === 0 ? part : `.${part}`));
    this.#problems.push({ line: lineOf(this.#text, path), key: key.join(""), message });
  }
}

/** The policy that a resource's own list makes. */
function ownPolicy({ id, name }: ResourcePolicy, allow: readonly string[]): AccessPolicy {
  return { id: nameBasedId("policy", id), name, resourceId: id, allow, conditions: [] };
}

function describe(issue: v.BaseIssue<unknown>): string {
  if (issue.kind !== "schema") return issue.message;
  if (issue.expected === "never") return "unknown key";
  if (issue.received === "undefined") return "it is missing";
  if (issue.type === "date") return issue.message;
  return `expected ${String(issue.expected).toLowerCase()}`;
}
