/** A browser of the poorest kind, `curl` with a jar of cookies, on a host of the lab: signs in and reads pages. */
import type { Host } from "../product.ts";

export class TextBrowser implements AsyncDisposable {
  private constructor(
    private readonly host: Host,
    private readonly origin: string,
    private readonly jar: string,
  ) {}

  /** @throws Error when the portal doesn't let the user in */
  static async signedIn(host: Host, origin: string, name: string, password: string): Promise<TextBrowser> {
    const browser = new TextBrowser(host, origin, await Deno.makeTempFile({ dir: "/run" }));
    const form = await browser.#curl("/");
    const csrf = /name="csrf" value="([^"]+)"/.exec(form)?.[1];
    if (csrf === undefined) throw new Error(`There is no form to sign in with: ${form}`);
    const fields = { csrf, step: "password", name, password };
    const data = Object.entries(fields).flatMap(([key, value]) => ["--data-urlencode", `${key}=${value}`]);
    await browser.#curl("/", [...data, "-H", "Sec-Fetch-Site: same-origin"]);
    return browser;
  }

  /** The markup of a page. @throws Error when it isn't there or one has to sign in */
  async page(path: string): Promise<string> {
    return await this.#curl(path);
  }

  /** The text of a page's main part, on one line. */
  async text(path: string): Promise<string> {
    const page = await this.page(path);
    const main = /<main.*<\/main>/s.exec(page)?.[0];
    if (main === undefined) throw new Error(`${path} is no page: ${page}`);
    return main.replace(/<[^>]+>/g, " ").replaceAll("&#39;", "'").replace(/\s+/g, " ");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.jar);
  }

  async #curl(path: string, options: readonly string[] = []): Promise<string> {
    const base = ["curl", "-sS", "--fail-with-body", "--max-time", "5", "-b", this.jar, "-c", this.jar];
    return await this.host.check([...base, ...options, `${this.origin}${path}`]);
  }
}
