/**
 * The host's own view of names, followed while it changes: resolv.conf and hosts are read again when the files are
 * no longer the ones that were read (spec policy §5.3), looked at once per second at most.
 */
import { type Hosts, parseHosts } from "./hosts.ts";
import { parseResolvConf, type ResolvConf } from "./resolv_conf.ts";

export const RESOLV_CONF = "/etc/resolv.conf", HOSTS = "/etc/hosts";
const CHECK_INTERVAL = 1000;

export interface FileReader {
  /** Something that differs when the file has changed (time, size, inode); undefined when there is no such file. */
  version(path: string): string | undefined;
  /** @throws when it cannot be read */
  read(path: string): string;
}

export class SystemConfig {
  readonly #files: FileReader;
  readonly #versions = new Map<string, string | undefined>();
  #resolvConf: ResolvConf = { nameservers: [], search: [], ndots: 1 };
  #hosts: Hosts = new Map();
  #checkAt: number;

  /** @throws Error when resolv.conf cannot be read: a gateway does not start without its resolvers. */
  constructor(files: FileReader, now: number) {
    this.#files = files;
    try {
      this.#reread(RESOLV_CONF);
    } catch (cause) {
      throw new Error(`Cannot read ${RESOLV_CONF}. It must exist; an empty one is fine.`, { cause });
    }
    this.#tryReread(HOSTS);
    this.#checkAt = now + CHECK_INTERVAL;
  }

  get resolvConf(): ResolvConf {
    return this.#resolvConf;
  }

  get hosts(): Hosts {
    return this.#hosts;
  }

  /** Reads again what has changed; true when something did. A file that went keeps its last content in force. */
  refresh(now: number): boolean {
    if (now < this.#checkAt) return false;
    this.#checkAt = now + CHECK_INTERVAL;
    const changed = [RESOLV_CONF, HOSTS].filter((path) => {
      const version = this.#files.version(path);
      return version !== undefined && version !== this.#versions.get(path);
    });
    for (const path of changed) this.#tryReread(path);
    return changed.length > 0;
  }

  #tryReread(path: string): void {
    try {
      this.#reread(path);
    } catch {
      // Being replaced right now: the next look finds the new one.
    }
  }

  #reread(path: string): void {
    // The version first: a change while reading is then seen as one.
    const version = this.#files.version(path);
    const text = this.#files.read(path);
    if (path === HOSTS) this.#hosts = parseHosts(text);
    else this.#resolvConf = parseResolvConf(text);
    this.#versions.set(path, version);
  }
}
