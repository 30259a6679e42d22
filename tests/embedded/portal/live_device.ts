/** Devices on the real portal client, whose events a test can wait for. */
import {
  connectPortal,
  type PortalConnection,
  type PortalHandlers,
  type PortalOptions,
} from "../../../mod/portal/io/portal_io.ts";
import type { PortalError } from "../../../mod/portal/failure.ts";
import type { Role } from "../../../mod/portal/login_url.ts";
import type { ClientCommand, ClientEvent, GatewayCommand, GatewayEvent } from "../../../mod/portal/types.ts";

const PATIENCE = 5_000;

export type Happening<Event> =
  | Event
  | { readonly type: "joined" }
  | { readonly type: "down"; readonly reason: string }
  | { readonly type: "failed"; readonly error: PortalError }
  | { readonly type: "warning"; readonly text: string };

/** What has happened to one device, in order, and a way to wait for more. */
export class Diary<Event extends { readonly type: string }> implements PortalHandlers<Event> {
  readonly #entries: Happening<Event>[] = [];
  #wake = () => {};

  onEvent = (event: Event) => this.#note(event);
  onJoined = () => this.#note({ type: "joined" });
  onDown = ({ reason }: { readonly reason: string }) => this.#note({ type: "down", reason });
  onFailed = (error: PortalError) => this.#note({ type: "failed", error });
  onWarning = (text: string) => this.#note({ type: "warning", text });

  /** The next happening of this type; what came before it is forgotten. */
  async next<T extends Happening<Event>["type"]>(type: T): Promise<Extract<Happening<Event>, { type: T }>> {
    const deadline = performance.now() + PATIENCE;
    while (true) {
      for (let entry; (entry = this.#entries.shift()) !== undefined;) {
        if (entry.type === type) return entry as Extract<Happening<Event>, { type: T }>;
      }
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`Waited in vain for "${type}".`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => (clearTimeout(timer), resolve());
      });
    }
  }

  #note(entry: Happening<Event>): void {
    this.#entries.push(entry);
    this.#wake();
  }
}

export interface Live<Event extends { readonly type: string }, Command> {
  readonly diary: Diary<Event>;
  readonly connection: PortalConnection<Command>;
}

type Settings = Partial<PortalOptions> & Pick<PortalOptions, "apiUrl" | "token">;

export function liveGateway(settings: Settings): Live<GatewayEvent, GatewayCommand> {
  const diary = new Diary<GatewayEvent>();
  return {
    diary,
    connection: connectPortal({ ...defaults("gateway", 1), ...settings, role: "gateway" }, diary),
  };
}

export function liveClient(settings: Settings): Live<ClientEvent, ClientCommand> {
  const diary = new Diary<ClientEvent>();
  return {
    diary,
    connection: connectPortal({ ...defaults("client", 2), ...settings, role: "client" }, diary),
  };
}

function defaults(role: Role, key: number) {
  return {
    dialect: "v1" as const,
    tokenInQuery: true,
    id: `the ${role} of the test`,
    name: role,
    publicKey: new Uint8Array(32).fill(key),
    userAgent: "Debian/13 connlib/1.5.0 (x86_64)",
  };
}
