/** The NAT of one client as the specification tells it (spec policy §3.3, §3.4): a list of sessions. */

export type SessionKind = "tcp" | "udp" | "echo";
type Flag = "syn" | "ack" | "fin" | "rst";

export interface ModelSession {
  readonly kind: SessionKind;
  readonly insidePort: number;
  readonly proxy: string;
  readonly outsidePort: number;
  readonly real: string;
  last: number;
  answered: boolean;
  finOut: boolean;
  finIn: boolean;
  reset: boolean;
}

export interface ModelNat {
  /** A packet from inside: its session, a new one if there was none. */
  out(kind: SessionKind, port: number, proxy: string, real: string, flag: Flag, now: number): ModelSession;
  findInside(kind: SessionKind, port: number, proxy: string): ModelSession | undefined;
  findOutside(kind: SessionKind, port: number, real: string): ModelSession | undefined;
  noteIn(session: ModelSession, flag: Flag, now: number): void;
  isExpired(kind: SessionKind, port: number, real: string): boolean;
  unexpire(kind: SessionKind, port: number, real: string): void;
  sweep(now: number): void;
  clear(): void;
}

export function newNat(): ModelNat {
  let sessions: ModelSession[] = [];
  const expired = new Set<string>();
  const name = (kind: SessionKind, port: number, real: string) => `${kind} ${port} ${real}`;

  function findInside(kind: SessionKind, port: number, proxy: string) {
    return sessions.find((s) => s.kind === kind && s.insidePort === port && s.proxy === proxy);
  }

  function findOutside(kind: SessionKind, port: number, real: string) {
    return sessions.find((s) => s.kind === kind && s.outsidePort === port && s.real === real);
  }

  function open(kind: SessionKind, port: number, proxy: string, real: string, now: number): ModelSession {
    let outsidePort = port;
    while (findOutside(kind, outsidePort, real)) outsidePort = outsidePort === 65535 ? 1 : outsidePort + 1;
    expired.delete(name(kind, outsidePort, real));
    const state = { last: now, answered: false, finOut: false, finIn: false, reset: false };
    const session = { kind, insidePort: port, proxy, outsidePort, real, ...state };
    sessions.push(session);
    return session;
  }

  return {
    findInside,
    findOutside,
    out(kind, port, proxy, real, flag, now) {
      const session = findInside(kind, port, proxy) ?? open(kind, port, proxy, real, now);
      session.last = now;
      if (kind === "tcp" && flag === "syn") session.finOut = session.finIn = session.reset = false;
      if (kind === "tcp" && flag === "fin") session.finOut = true;
      if (kind === "tcp" && flag === "rst") session.reset = true;
      return session;
    },
    noteIn(session, flag, now) {
      session.last = now;
      session.answered = true;
      if (session.kind === "tcp" && flag === "fin") session.finIn = true;
      if (session.kind === "tcp" && flag === "rst") session.reset = true;
    },
    isExpired: (kind, port, real) => expired.has(name(kind, port, real)),
    unexpire: (kind, port, real) => void expired.delete(name(kind, port, real)),
    sweep(now) {
      const over = (s: ModelSession) => now >= endOf(s);
      for (const s of sessions.filter(over)) {
        const identity = s.proxy === s.real && s.insidePort === s.outsidePort;
        if (!identity) expired.add(name(s.kind, s.outsidePort, s.real));
      }
      sessions = sessions.filter((s) => !over(s));
    },
    clear() {
      sessions = [];
      expired.clear();
    },
  };
}

function endOf(s: ModelSession): number {
  const ends = [s.last + (s.kind === "tcp" ? 2 * 3600 + 4 * 60 : 120) * 1000];
  if (!s.answered) ends.push(s.last + 60_000);
  if (s.finOut && s.finIn) ends.push(s.last + 5_000);
  if (s.reset) ends.push(s.last);
  return Math.min(...ends);
}
