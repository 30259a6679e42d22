/** A portal for pages: a policy, tokens and a clock that a test moves; browsers that keep their cookies. */
import { Hono } from "hono";
import { setPeer } from "../../../../mod/embedded/portal/server/peer.ts";
import { browser, BrowserSessions, signInRoutes } from "../../../../mod/embedded/portal/sign_in/mod.ts";
import { parsePolicy } from "../../../../mod/embedded/portal/policy/file.ts";
import type { DeviceDetails } from "../../../../mod/embedded/portal/core/device_details.ts";
import { hashToken, type TokenRecord } from "../../../../mod/embedded/portal/core/tokens.ts";
import { type PortalPolicy, type UserPolicy } from "../../../../mod/embedded/portal/policy/policy.ts";
import { seededRandom } from "../../../portal/support.ts";

/** "correct horse", at a cost that unit tests can pay. */
export const PASSWORD = "correct horse";
export const PASSWORD_HASH =
  "$scrypt$ln=4,r=8,p=1$c2FsdHNhbHRzYWx0c2E$oyByvyqJ3uHfEWZSxMRILDXiIz0QkD2rJtPPONAZyT0";

export function user(name: string, fields: Partial<UserPolicy> = {}): UserPolicy {
  return {
    kind: "user",
    name,
    displayName: name[0]!.toUpperCase() + name.slice(1),
    email: undefined,
    groups: [],
    expiresAt: Infinity,
    passwordHash: PASSWORD_HASH,
    totpSecret: undefined,
    admin: false,
    sessionSeconds: 7 * 86_400,
    ...fields,
  };
}

const NO_FILES = {
  file: "policy.toml",
  readSecret: (path: string) => {
    throw new Error(`${path} can't be read`);
  },
};

/** What `Portal` has that pages need, on a virtual clock. */
export class PageWorld {
  policy: PortalPolicy;
  readonly sessions: BrowserSessions;
  readonly logged: string[] = [];
  /** Address that requests come from. */
  ip = "198.51.100.7";
  #tokens: TokenRecord[] = [];
  #unixNow = 1_753_347_600;

  constructor(...users: UserPolicy[]) {
    this.policy = { ...parsePolicy('[account]\nslug = "acme"\n', NO_FILES), actors: users };
    this.sessions = new BrowserSessions({
      policy: () => this.policy,
      unixNow: () => this.#unixNow,
      random: seededRandom(),
    });
  }

  unixNow(): number {
    return this.#unixNow;
  }

  wait(seconds: number): void {
    this.#unixNow += seconds;
  }

  tokens(): readonly TokenRecord[] {
    return this.#tokens;
  }

  addToken(token: string, of: Pick<TokenRecord, "role" | "owner" | "providerId" | "expiresAt">): TokenRecord {
    const id = `token-${this.#tokens.length + 1}`;
    const record: TokenRecord = { ...of, id, hash: hashToken(token), createdAt: this.#unixNow };
    this.#tokens.push(record);
    return record;
  }

  revokeToken(id: string): boolean {
    const before = this.#tokens.length;
    this.#tokens = this.#tokens.filter((one) => one.id !== id);
    return this.#tokens.length < before;
  }

  devices(): readonly DeviceDetails[] {
    return [];
  }

  /** Whose token it is, as a login would find out. */
  ownerOf(token: string): string | undefined {
    return this.#tokens.find(({ hash }) => hash === hashToken(token))?.owner;
  }

  /** A browser at the sign-in pages. */
  visitor(): PageBrowser {
    const app = this.app();
    const options = { basePath: "", random: seededRandom(2), log: (text: string) => this.logged.push(text) };
    app.route("/", signInRoutes(this, options));
    return new PageBrowser(app);
  }

  /** An app behind the middleware that the server puts before pages. */
  app(): Hono {
    const app = new Hono();
    app.use(async (c, next) => {
      const secure = c.req.header("x-test-plain") === undefined;
      setPeer(c, { ip: this.ip, secure, host: "portal.example", region: undefined });
      await next();
    });
    app.use(browser(this.sessions));
    return app;
  }
}

/** Keeps cookies and sends forms with the hidden fields of the page it last saw. */
export class PageBrowser {
  readonly cookies = new Map<string, string>();
  page = "";

  constructor(readonly app: { request(path: string, init: RequestInit): Response | Promise<Response> }) {}

  async get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return await this.#request(path, { headers });
  }

  /** Sends the fields, and the hidden ones of the last page. */
  async post(path: string, fields: Record<string, string> = {}, headers: Record<string, string> = {}) {
    const hidden = [...this.page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)]
      .map(([, name, value]) => [name!, value!]);
    const body = new URLSearchParams({ ...Object.fromEntries(hidden), ...fields });
    return await this.#request(path, {
      method: "POST",
      body,
      headers: "origin" in headers ? headers : { "sec-fetch-site": "same-origin", ...headers },
    });
  }

  async #request(
    path: string,
    init: { method?: string; body?: URLSearchParams; headers: Record<string, string> },
  ) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await this.app.request(path, {
      ...init,
      headers: { ...init.headers, ...(cookie && { cookie }) },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
      this.cookies.set(name!, value!);
    }
    this.page = await response.clone().text();
    return response;
  }
}
