/** The other end of the control socket: one connection for each call, which fails as soon as the portal is gone. */
import { type IncomingMessage, request } from "node:http";

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

/** Nobody answers at the socket; the message says what to do. */
export class ControlUnreachable extends Error {
  override readonly name = "ControlUnreachable";
}

export type ControlMethod = "GET" | "POST" | "PATCH" | "DELETE";

export class ControlClient {
  /** @param path of the socket */
  constructor(readonly path: string) {}

  /**
   * @param route segments, such as `["objects", "client", "laptop"]`
   * @throws ControlRefusal, ControlUnreachable
   */
  async call<T>(method: ControlMethod, route: readonly string[], body?: unknown): Promise<T> {
    const path = `/${route.map(encodeURIComponent).join("/")}`;
    const { status, text } = await this.#exchange(
      method,
      path,
      body === undefined ? "" : JSON.stringify(body),
    );
    let answer;
    try {
      answer = JSON.parse(text);
    } catch {
      throw new ControlRefusal(status, `it answered ${status}, and no JSON.`, []);
    }
    if (status === 200) return answer;
    const error = typeof answer?.error === "string" ? answer.error : `it answered ${status}.`;
    throw new ControlRefusal(status, error, Array.isArray(answer?.problems) ? answer.problems : []);
  }

  #exchange(method: string, path: string, body: string): Promise<{ status: number; text: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
    const failed = (cause: Error) => reject(unreachable(this.path, cause));
    const answered = (response: IncomingMessage) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => text += part);
      response.on(
        "end",
        () =>
          response.complete
            ? resolve({ status: response.statusCode ?? 0, text })
            : failed(new Error("it broke off")),
      );
      response.on("error", failed);
      response.on("close", () => failed(new Error("it broke off")));
    };
    const asked = request(
      { socketPath: this.path, method, path, agent: false, headers: { host: "portal" } },
      answered,
    );
    asked.on("error", failed);
    asked.on("close", () => failed(new Error("it broke off")));
    asked.end(body);
    return promise;
  }
}

function unreachable(path: string, cause: Error): ControlUnreachable {
  const isForbidden = "code" in cause && (cause.code === "EACCES" || cause.code === "EPERM");
  const message = isForbidden
    ? `this user may not open ${path}. Be root, or the user that runs the portal.`
    : `no portal answers at ${path}. Start it, or name its socket with --control.`;
  return new ControlUnreachable(message, { cause });
}
