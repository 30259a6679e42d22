/**
 * The portal as one gateway sees it, without anybody behind it: accepts the gateway's socket, gives it an interface
 * and a relay, and hands its answers and candidates to the program that plays the clients (Phoenix serializer V1).
 */
// @ts-types="@types/ws"
import { type WebSocket, WebSocketServer } from "ws";
import { relayCredentials } from "../../../mod/embedded/relay/credentials.ts";
import { parseKey } from "../../../mod/portal/key.ts";

const CREDENTIALS_UNTIL = 2145916800;

interface Request {
  readonly topic: string;
  readonly event: string;
  readonly payload: { readonly ref: string; readonly client_ids: string[]; readonly candidates: string[] };
  readonly ref: number;
}

export interface PortalStubOptions {
  readonly port: number;
  /** `ip:port` of the relay, and its stamp secret. */
  readonly relay: string;
  readonly relaySecret: string;
  /** The gateway is in; its X25519 key. */
  onGateway(publicKey: Uint8Array): void;
  /** It has accepted the authorisation with this ref. */
  onAuthorized(ref: string): void;
  onCandidates(clientId: string, candidates: readonly string[]): void;
}

export class PortalStub {
  readonly #options: PortalStubOptions;
  #socket: WebSocket | undefined;

  constructor(options: PortalStubOptions) {
    this.#options = options;
    new WebSocketServer({ port: options.port }).on("connection", (socket, request) => {
      this.#socket = socket;
      const key = new URL(request.url!, "http://portal").searchParams.get("public_key")!;
      socket.on("message", (data) => this.#handle(JSON.parse(String(data)), key));
    });
  }

  push(event: string, payload: unknown): void {
    this.#socket!.send(JSON.stringify({ topic: "gateway", event, payload, ref: null }));
  }

  #handle({ topic, event, payload, ref }: Request, key: string): void {
    const reply = { topic, event: "phx_reply", payload: { status: "ok", response: {} }, ref };
    this.#socket!.send(JSON.stringify(reply));
    switch (event) {
      case "phx_join":
        this.push("init", this.#init(key));
        return this.#options.onGateway(parseKey(key)!);
      case "flow_authorized":
      case "authorization_created":
        return this.#options.onAuthorized(payload.ref);
      case "broadcast_ice_candidates":
        for (const id of payload.client_ids) this.#options.onCandidates(id, payload.candidates);
    }
  }

  #init(publicKey: string): unknown {
    const { relay, relaySecret } = this.#options;
    const request = { publicKey, stampSecret: relaySecret, expiresAt: CREDENTIALS_UNTIL };
    const id = "00000000-0000-4000-8000-00000000ffff";
    return {
      interface: { ipv4: "100.64.0.1", ipv6: "fd00:2021:1111::1" },
      config: { ipv4_masquerade_enabled: true, ipv6_masquerade_enabled: true },
      account_slug: "bench",
      relays: [{
        type: "turn",
        id,
        addr: relay,
        expires_at: CREDENTIALS_UNTIL,
        ...relayCredentials(request),
      }],
      authorizations: [],
    };
  }
}
