/**
 * The proxy addresses of one client (spec policy §3.1, §3.2 [H]): which name each stands for, which DNS resources
 * opened it, and which real address it leads to, if any. Several resources may share a proxy address.
 *
 * A proxy address whose family the name lacks is mapped to nothing; packets to it are answered "unreachable" at once.
 */
import type { Grant } from "./peer.ts";
import {
  isMulticast4,
  isMulticast6,
  isProxy4,
  isProxy6,
  isTunnel4,
  isTunnel6,
  rangeKey4,
  rangeKey6,
} from "./ranges.ts";
import type { Id } from "./types.ts";
import { compareWords, type Words, wordsOf } from "./words.ts";

/** Proxy addresses, and real addresses remembered as shared, of one client: eight for each of 8192 names. */
const MAX_TRANSLATIONS = 65_536;

export interface Translation {
  /** In lower case. */
  readonly domain: string;
  /** The resources that opened it, each with the pattern that the name matched then. */
  readonly resources: Map<Id, string>;
  /** Four words of the real address; undefined: the name has none in this family. */
  real: Uint32Array<ArrayBuffer> | undefined;
  /** Those of `resources` that the client holds now with that pattern, larger ids first. */
  owners: readonly Grant[];
}

export class Translations {
  readonly #byProxy = new Map<number, Translation>();
  /** Hashes of real addresses; see {@link isShared}. */
  readonly #shared = new Set<number>();

  get size(): number {
    return this.#byProxy.size;
  }

  /** @param key of a proxy address, see {@link rangeKey4}. */
  find(key: number): Translation | undefined {
    return this.#byProxy.get(key);
  }

  /**
   * Whether a proxy address may lead to this real address: then a plain flow to it needs a NAT session of its own, so
   * that its answers are not taken for those of a translated flow (§3.4). True now and then for others, which only
   * costs them a session.
   */
  isShared(a: number, b: number, c: number, d: number): boolean {
    return this.#shared.has(hash(a, b, c, d));
  }

  /** Whether one of the proxy addresses stands for another name: the client began to number anew. */
  conflicts(domain: string, proxyIps: readonly Uint8Array[]): boolean {
    const name = domain.toLowerCase();
    return proxyIps.some((ip) => {
      const known = this.#byProxy.get(keyOf(ip) ?? -1);
      return known !== undefined && known.domain !== name;
    });
  }

  /**
   * Leads the proxy addresses, in numeric order, cyclically to the real addresses of their family, in numeric order,
   * for the DNS resource `resourceId` in `grants`. False when that would be too many.
   */
  map(
    domain: string,
    resourceId: Id,
    grants: ReadonlyMap<Id, Grant>,
    real: readonly Uint8Array[],
    proxyIps: readonly Uint8Array[],
  ): boolean {
    const proxies4 = sorted(proxyIps, 4, (words) => isProxy4(words[0]));
    const proxies6 = sorted(proxyIps, 16, (words) => isProxy6(...words));
    if (this.size + proxies4.length + proxies6.length > MAX_TRANSLATIONS) return false;
    const changed = [
      ...this.#mapFamily(domain, proxies4, sorted(real, 4, isUsable4), 4),
      ...this.#mapFamily(domain, proxies6, sorted(real, 16, isUsable6), 6),
    ];
    for (const translation of changed) {
      const resource = grants.get(resourceId)?.resource;
      if (resource?.type === "dns") translation.resources.set(resourceId, resource.address);
      translation.owners = ownersOf(translation, grants);
    }
    return true;
  }

  clear(): void {
    this.#byProxy.clear();
    this.#shared.clear();
  }

  /** Finds out anew which resources open what, after the grants changed. */
  compile(grants: ReadonlyMap<Id, Grant>): void {
    for (const translation of this.#byProxy.values()) translation.owners = ownersOf(translation, grants);
  }

  #mapFamily(
    domain: string,
    proxies: readonly Words[],
    real: readonly Words[],
    family: 4 | 6,
  ): Translation[] {
    for (const words of real) this.#share(words);
    return proxies.map((proxy, i) => {
      const key = family === 4 ? rangeKey4(proxy[0]) : rangeKey6(proxy[3]);
      const translation = this.#byProxy.get(key) ??
        { domain: domain.toLowerCase(), resources: new Map<Id, string>(), real: undefined, owners: [] };
      translation.real = real.length > 0 ? Uint32Array.from(real[i % real.length]!) : undefined;
      this.#byProxy.set(key, translation);
      return translation;
    });
  }

  #share(words: Words): void {
    if (this.#shared.size >= MAX_TRANSLATIONS) {
      this.#shared.clear();
      for (const { real } of this.#byProxy.values()) {
        if (real) this.#shared.add(hash(real[0]!, real[1]!, real[2]!, real[3]!));
      }
    }
    this.#shared.add(hash(...words));
  }
}

function ownersOf(translation: Translation, grants: ReadonlyMap<Id, Grant>): Grant[] {
  const owners: Grant[] = [];
  for (const [id, pattern] of translation.resources) {
    const grant = grants.get(id);
    if (grant?.resource.type === "dns" && grant.resource.address === pattern) owners.push(grant);
  }
  return owners.sort((a, b) => a.resource.id < b.resource.id ? 1 : -1);
}

/** Undefined when it is no proxy address. */
function keyOf(ip: Uint8Array): number | undefined {
  const words = wordsOf(ip);
  if (!words) return undefined;
  if (ip.length === 4) return isProxy4(words[0]) ? rangeKey4(words[0]) : undefined;
  return isProxy6(...words) ? rangeKey6(words[3]) : undefined;
}

/** The addresses of one family that pass, in numeric order, each once. */
function sorted(ips: readonly Uint8Array[], length: number, accept: (words: Words) => boolean): Words[] {
  const all = ips.filter((ip) => ip.length === length).map((ip) => wordsOf(ip)!).filter(accept).sort(
    compareWords,
  );
  return all.filter((words, i) => i === 0 || compareWords(words, all[i - 1]!) !== 0);
}

/** A name that resolves into the tunnel, to a proxy or to a group must not become a way around the policy. */
function isUsable4([a]: Words): boolean {
  return a !== 0 && !isTunnel4(a) && !isProxy4(a) && !isMulticast4(a);
}

function isUsable6([a, b, c, d]: Words): boolean {
  return (a | b | c | d) !== 0 && !isTunnel6(a, b, c, d) && !isProxy6(a, b, c, d) && !isMulticast6(a);
}

/** 30 bits, a small integer on every engine. */
function hash(a: number, b: number, c: number, d: number): number {
  const mixed = Math.imul(a ^ Math.imul(b, 0x85ebca6b), 0x9e3779b1) ^
    Math.imul(c ^ Math.imul(d, 0xc2b2ae35), 0x27d4eb2f);
  return (mixed ^ (mixed >>> 16)) & 0x3fffffff;
}
