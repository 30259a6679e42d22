/** The other end of the control socket. */

/** The portal said no. */
export class ControlRefusal extends Error {
  override readonly name = "ControlRefusal";

  constructor(
    readonly status: number,
    message: string,
    /** Lines such as `policy.toml:12: resource[1].site: …` */
    readonly problems: readonly string[],
  ) {
    super(message);
  }
}

/** Nobody answers at the socket. */
export class ControlUnreachable extends Error {
  override readonly name = "ControlUnreachable";
}

export type ControlMethod = "GET" | "POST" | "PATCH" | "DELETE";

export class ControlClient implements Disposable {
  readonly #path: string;
  readonly #http: Deno.HttpClient;

  constructor(path: string) {
    this.#path = path;
    this.#http = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  }

  /**
   * @param route segments, such as `["objects", "client", "laptop"]`
   * @throws ControlRefusal, ControlUnreachable
   */
  async call<T>(method: ControlMethod, route: readonly string[], body?: unknown): Promise<T> {
    const url = `http://portal/${route.map(encodeURIComponent).join("/")}`;
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        client: this.#http,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw new ControlUnreachable(`no portal answers at ${this.#path}`, { cause });
    }
    const answer = await response.json().catch(() => undefined);
    if (response.ok) return answer;
    const error = typeof answer?.error === "string" ? answer.error : `it answered ${response.status}.`;
    throw new ControlRefusal(response.status, error, Array.isArray(answer?.problems) ? answer.problems : []);
  }

  [Symbol.dispose](): void {
    this.#http.close();
  }
}
