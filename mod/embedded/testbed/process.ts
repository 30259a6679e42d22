/**
 * A program that runs in the background of a testbed: its output is kept, lines can be waited for, and it is
 * stopped for certain.
 */

const STOP_GRACE_MS = 3000;
const KEPT_CHARACTERS = 1 << 20;
const DRAIN_MS = 100;

export interface ProcessOptions {
  /** Shown in errors; the program's name otherwise. */
  readonly label?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with every complete line of stdout and stderr as it arrives. */
  readonly onLine?: (line: string) => void;
}

export class BackgroundProcess {
  readonly label: string;
  readonly #child: Deno.ChildProcess;
  readonly #done: Promise<void>;
  readonly #waiters = new Set<() => void>();
  #text = "";
  #status: Deno.CommandStatus | undefined;

  constructor(command: readonly string[], options: ProcessOptions = {}) {
    this.label = options.label ?? command.at(-1) ?? "process";
    this.#child = new Deno.Command(command[0]!, {
      args: command.slice(1),
      ...(options.env ? { env: options.env } : {}),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const readers = [this.#child.stdout, this.#child.stderr].map((stream) => stream.getReader());
    const read = Promise.all(readers.map((reader) => this.#collect(reader, options.onLine)));
    this.#done = this.#child.status.then(async (status) => {
      // Its own children may hold the pipes open for ever: what has not arrived shortly after the end is not its.
      const timer = setTimeout(() => readers.forEach((reader) => reader.cancel()), DRAIN_MS);
      await read;
      clearTimeout(timer);
      this.#status = status;
      this.#wake();
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Everything it wrote so far (the last mebibyte of it). */
  get output(): string {
    return this.#text;
  }

  /** Undefined while it runs. */
  get status(): Deno.CommandStatus | undefined {
    return this.#status;
  }

  /** Resolves with the match when the output contains `pattern`; rejects at the end of time or of the program. */
  async waitFor(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match) return match;
      if (this.#status) {
        throw new Error(
          `Cannot wait for ${pattern} of ${this.label}: it ended with status ${this.#status.code}.\n` +
            this.tail(),
        );
      }
      const left = deadline - performance.now();
      if (left <= 0) {
        throw new Error(`${this.label} did not print ${pattern} within ${timeoutMs} ms.\n${this.tail()}`);
      }
      await this.#change(left);
    }
  }

  /** The last lines of the output, for error messages. */
  tail(lines = 15): string {
    return this.#text.trimEnd().split("\n").slice(-lines).map((line) => `  | ${line}`).join("\n");
  }

  /** Resolves with the status when it ends by itself, or with undefined after `timeoutMs`. */
  async ended(timeoutMs: number): Promise<Deno.CommandStatus | undefined> {
    const deadline = performance.now() + timeoutMs;
    while (!this.#status && performance.now() < deadline) await this.#change(deadline - performance.now());
    return this.#status;
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has already ended.
    }
  }

  /** SIGTERM, then SIGKILL after a grace period. Safe to call twice. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), STOP_GRACE_MS);
    await this.#done;
    clearTimeout(timer);
  }

  async #collect(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    onLine?: (line: string) => void,
  ): Promise<void> {
    const decoder = new TextDecoder();
    let partial = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const chunk = decoder.decode(value, { stream: true });
      this.#text = (this.#text + chunk).slice(-KEPT_CHARACTERS);
      this.#wake();
      if (!onLine) continue;
      const lines = (partial + chunk).split("\n");
      partial = lines.pop()!;
      lines.forEach(onLine);
    }
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }

  /** Resolves on the next output, at the end of the program, or after `timeoutMs`. */
  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#waiters.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, timeoutMs);
      this.#waiters.add(finish);
    });
  }
}
