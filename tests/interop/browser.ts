/**
 * Real Chromium, driven over the Chrome DevTools Protocol: pages as people see and use them. Each page lives in a
 * browser context of its own, with its own cookies. Clicks and keys are real input events, so what covers a button or
 * can't be focused fails as it would for a person.
 */
import { BackgroundProcess, hasCommand } from "../../mod/embedded/testbed/mod.ts";

const PATIENCE_MS = 10_000;
const START_MS = 30_000;
const PROGRAM = "chromium";

/** Whether Chromium is there. @throws Error where it must be: in CI */
export function hasBrowser(): boolean {
  if (hasCommand(PROGRAM)) return true;
  if (Deno.env.get("CI")) throw new Error("chromium is missing. Install Debian's chromium.");
  return false;
}

export interface Viewport {
  readonly width: number;
  readonly height: number;
}

export const DESKTOP: Viewport = { width: 1280, height: 800 };
export const PHONE: Viewport = { width: 360, height: 740 };

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

export class Chromium {
  readonly #process: BackgroundProcess;
  readonly #socket: WebSocket;
  readonly #folder: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  readonly #pages = new Map<string, Page>();
  #nextId = 1;

  private constructor(process: BackgroundProcess, socket: WebSocket, folder: string) {
    this.#process = process;
    this.#socket = socket;
    this.#folder = folder;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(String(data)));
  }

  static async launch(): Promise<Chromium> {
    const folder = await Deno.makeTempDir({ prefix: "postern-chromium-" });
    const process = new BackgroundProcess([
      PROGRAM,
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-extensions",
      "--disable-background-networking",
      "--no-first-run",
      "--ignore-certificate-errors",
      "--remote-debugging-port=0",
      `--user-data-dir=${folder}`,
      "about:blank",
    ], { label: PROGRAM, env: { HOME: folder } });
    try {
      const [, url] = await process.waitFor(/DevTools listening on (ws:\S+)/, START_MS);
      const socket = new WebSocket(url!);
      await new Promise<void>((resolve, reject) => {
        socket.onopen = () => resolve();
        socket.onerror = () => reject(new Error(`Cannot connect to ${PROGRAM}.`));
      });
      return new Chromium(process, socket, folder);
    } catch (error) {
      await process.stop();
      throw error;
    }
  }

  /** A blank page in a context of its own, or beside another one, with its cookies. */
  async page(viewport: Viewport = DESKTOP, beside?: Page): Promise<Page> {
    const browserContextId = beside?.context ??
      String((await this.send("Target.createBrowserContext", {})).browserContextId);
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page((method, params) => this.send(method, params, String(sessionId)), browserContextId);
    this.#pages.set(String(sessionId), page);
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await page.send(`${domain}.enable`);
    await page.setViewport(viewport);
    return page;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#socket.onclose = () => resolve());
    this.#socket.close();
    await closed;
    await this.#process.stop();
    await Deno.remove(this.#folder, { recursive: true }).catch(() => {});
  }

  async send(
    method: string,
    params: Record<string, unknown>,
    sessionId?: string,
  ): Promise<Record<string, unknown>> {
    const id = this.#nextId++;
    const answer = Promise.withResolvers<Record<string, unknown>>();
    this.#waiting.set(id, answer);
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }));
    return await within(answer.promise, method);
  }

  #receive({ id, method, sessionId, params, result, error }: Reply): void {
    if (id !== undefined) {
      const answer = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) answer?.reject(new Error(error.message));
      else answer?.resolve(result ?? {});
    } else if (method !== undefined && sessionId !== undefined) {
      this.#pages.get(sessionId)?.note(method, params ?? {});
    }
  }
}

type Send = (method: string, params: Record<string, unknown>) => Promise<Record<string, unknown>>;

export class Page {
  /** What the browser complains about: exceptions, blocked content, failed requests. */
  readonly complaints: string[] = [];
  /** URLs that the page itself asked to go to, also those that the browser has no program for. */
  readonly navigations: string[] = [];
  readonly #send: Send;
  /** Names of the document that is there, and of the last one that has loaded. */
  #document: unknown;
  #loaded: unknown;
  #wake = () => {};

  constructor(send: Send, readonly context: string) {
    this.#send = send;
  }

  async send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    return await this.#send(method, params);
  }

  /** Opens a URL and waits until it has loaded. */
  async goto(url: string): Promise<void> {
    await this.#loading(async () => {
      const { errorText, loaderId } = await this.send("Page.navigate", { url });
      if (errorText) throw new Error(`Cannot open ${url}: ${errorText}.`);
      return loaderId;
    });
  }

  /** Clicks in the middle of the element, and waits for the page that it leads to. */
  async follow(selector: string): Promise<void> {
    await this.#loading(() => this.click(selector));
  }

  /** Clicks in the middle of the element. */
  async click(selector: string): Promise<void> {
    const { x, y } = await this.evaluate<{ x: number; y: number }>(`(() => {
      const element = document.querySelector(${JSON.stringify(selector)});
      if (!element) throw new Error("There is no " + ${JSON.stringify(selector)});
      element.scrollIntoView({ block: "center", behavior: "instant" });
      const { left, top, width, height } = element.getBoundingClientRect();
      return { x: left + width / 2, y: top + height / 2 };
    })()`);
    for (const type of ["mousePressed", "mouseReleased"]) {
      await this.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
    }
  }

  /** Clicks into a field, and types over what is there. */
  async fill(selector: string, text: string): Promise<void> {
    await this.click(selector);
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).select()`);
    await this.send("Input.insertText", { text });
  }

  /** Presses a key where the focus is: `Tab`, `Enter`, `Escape`, or a character. */
  async press(key: string): Promise<void> {
    const codes: Record<string, number> = { Tab: 9, Enter: 13, Escape: 27, " ": 32 };
    const code = codes[key] ?? key.toUpperCase().charCodeAt(0);
    const text = key === "Enter" ? "\r" : key.length === 1 ? key : undefined;
    const event = { key, windowsVirtualKeyCode: code, ...(text && { text }) };
    await this.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  /** Presses Enter, and waits for the page that it leads to. */
  async enter(): Promise<void> {
    await this.#loading(() => this.press("Enter"));
  }

  /** The value of a JavaScript expression, which works also where the page's own scripts are switched off. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    }) as {
      result: { value: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails) {
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    }
    return result.value;
  }

  /** Waits until the expression is true. */
  async until(expression: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!await this.evaluate<boolean>(`Boolean(${expression})`)) {
      if (performance.now() > deadline) throw new Error(`Waited in vain for ${expression}.`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The visible text of the page. */
  async text(): Promise<string> {
    return await this.evaluate<string>("document.body.innerText");
  }

  async url(): Promise<string> {
    return await this.evaluate<string>("location.href");
  }

  /** Whether something is wider than the window. */
  async overflows(): Promise<boolean> {
    return await this.evaluate<boolean>(
      "document.documentElement.scrollWidth > document.documentElement.clientWidth",
    );
  }

  async setViewport({ width, height }: Viewport): Promise<void> {
    const mobile = width < 600;
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
  }

  async setColorScheme(scheme: "light" | "dark"): Promise<void> {
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.send("Emulation.setEmulatedMedia", { features });
  }

  async setJavaScript(enabled: boolean): Promise<void> {
    await this.send("Emulation.setScriptExecutionDisabled", { value: !enabled });
  }

  /** Names of the cookies, with their flags as Chromium understood them. */
  async cookies(): Promise<readonly Record<string, unknown>[]> {
    const { cookies } = await this.send("Network.getCookies") as { cookies: Record<string, unknown>[] };
    return cookies;
  }

  /** Writes a PNG of the whole page. */
  async screenshot(path: string): Promise<void> {
    const { data } = await this.send("Page.captureScreenshot", {
      format: "png",
      captureBeyondViewport: true,
    });
    await Deno.writeFile(path, Uint8Array.fromBase64(String(data)));
  }

  /** An event of the protocol. */
  note(method: string, params: Record<string, unknown>): void {
    if (method === "Page.frameNavigated") {
      const { parentId, loaderId } = params.frame as { parentId?: string; loaderId: string };
      if (parentId === undefined) this.#document = loaderId;
    } else if (method === "Page.loadEventFired") {
      this.#loaded = this.#document;
      this.#wake();
    } else if (method === "Page.frameRequestedNavigation") {
      this.navigations.push(String(params.url));
    } else if (method === "Runtime.exceptionThrown") {
      this.complaints.push(JSON.stringify(params.exceptionDetails));
    } else if (method === "Log.entryAdded") {
      const { text, url } = params.entry as { text: string; url?: string };
      // Whoever was quicker than the page with choosing a field keeps it, and that is right.
      if (!text.startsWith("Autofocus processing was blocked")) {
        this.complaints.push(`${text} ${url ?? ""}`.trim());
      }
    }
  }

  /** Does something that leads to another page (which it may name), and waits until that has loaded. */
  async #loading(act: () => Promise<unknown>): Promise<void> {
    const before = this.#document;
    const wanted = await act();
    const isThere = () => wanted === undefined ? this.#loaded !== before : this.#loaded === wanted;
    const deadline = performance.now() + PATIENCE_MS;
    while (!isThere() && performance.now() < deadline) {
      const woken = new Promise<void>((resolve) => this.#wake = resolve);
      await within(woken, "the page to load");
    }
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited in vain for ${what}.`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
