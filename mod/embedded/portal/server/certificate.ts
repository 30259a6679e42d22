/**
 * The certificate that the portal shows, and its key. Files are read again every few seconds, since certbot, Caddy,
 * Kubernetes and people replace them in different ways that only their content tells. A pair that doesn't fit
 * together is not taken: it may be half written, and a portal without TLS is off the network.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";

export interface KeyPair {
  /** PEM, the own certificate first. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export type CertificateSource = KeyPair | { readonly certFile: string; readonly keyFile: string };

const CHECK_MS = 10_000;
const DAY_MS = 86_400_000;
const WARN_DAYS = 7;

export interface CertificateHandlers {
  onChange(pair: KeyPair): void;
  onLog(level: "info" | "warning", text: string): void;
}

export class Certificate {
  readonly #source: CertificateSource;
  readonly #handlers: CertificateHandlers;
  readonly #checkMs: number;
  #pair: KeyPair;
  /** The last complaint, which is not repeated. */
  #complaint = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param checkMs how often files are read
   * @throws Error when the pair can't be read or doesn't fit together
   */
  constructor(source: CertificateSource, handlers: CertificateHandlers, checkMs = CHECK_MS) {
    this.#source = source;
    this.#handlers = handlers;
    this.#checkMs = checkMs;
    this.#pair = read(source);
    check(this.#pair);
  }

  /** Looks after the files from now on, until {@link stop}. */
  watch(): void {
    this.#warnOfExpiry();
    this.#schedule();
  }

  get pair(): KeyPair {
    return this.#pair;
  }

  /** Reads the files now. A pair that can't be used changes nothing and is logged once. */
  reload(): void {
    this.#schedule();
    try {
      const pair = read(this.#source);
      const changed = pair.cert !== this.#pair.cert || pair.key !== this.#pair.key;
      if (changed) {
        check(pair);
        this.#pair = pair;
        this.#handlers.onChange(pair);
        this.#handlers.onLog(
          "info",
          `Took the new certificate, good until ${validUntil(pair).toISOString()}.`,
        );
        this.#warnOfExpiry();
      }
      this.#complaint = "";
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== this.#complaint) this.#handlers.onLog("warning", `${reason} The old one stays in use.`);
      this.#complaint = reason;
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if ("cert" in this.#source) return;
    this.#timer = setTimeout(() => this.reload(), this.#checkMs);
  }

  #warnOfExpiry(): void {
    const days = (validUntil(this.#pair).getTime() - Date.now()) / DAY_MS;
    if (days > WARN_DAYS) return;
    const when = days < 0 ? "has expired" : `expires in ${Math.ceil(days)} days`;
    this.#handlers.onLog("warning", `The TLS certificate ${when}. Devices refuse an expired one: renew it.`);
  }
}

function read(source: CertificateSource): KeyPair {
  if ("cert" in source) return source;
  return { cert: readPem(source.certFile), key: readPem(source.keyFile) };
}

function readPem(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new Error(`Cannot read ${path}. It must be a PEM file that this user may read.`, { cause });
  }
}

function check({ cert, key }: KeyPair): void {
  let certificate: X509Certificate, fits: boolean;
  try {
    certificate = new X509Certificate(cert);
    fits = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new Error("Cannot use the TLS certificate and key: they are no PEM texts of such.", { cause });
  }
  if (!fits) throw new Error("Cannot use the TLS certificate: the key belongs to another one.");
}

function validUntil({ cert }: KeyPair): Date {
  return new Date(new X509Certificate(cert).validTo);
}
