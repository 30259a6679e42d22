/** What an operator should look at now, worst first. Each line says what it means for people, then what to do. */
import { plural, visible } from "./format.ts";
import type { Snapshot } from "./snapshot.ts";

export interface Attention {
  readonly mood: "bad" | "warn";
  readonly text: string;
}

/** A gateway that reports is late after so many seconds without a report. */
export const LATE_REPORT = 45;
const SOON = 7 * 86_400;
const MAX_NAMED = 5;

export function attentionOf(snapshot: Snapshot): Attention[] {
  return [
    ...suspension(snapshot),

    ...silentSites(snapshot),
    ...relayTrouble(snapshot),
    ...lateReports(snapshot),
    ...endingTokens(snapshot),
  ]
    .sort((a, b) => a.mood < b.mood ? -1 : a.mood > b.mood ? 1 : 0);
}

function suspension({ suspended }: Snapshot): Attention[] {
  return suspended === undefined
    ? []
    : [{ mood: "bad", text: `No device is served: ${visible(suspended, 500)}` }];
}

function silentSites(snapshot: Snapshot): Attention[] {
  const there = new Set(snapshot.gateways().filter(({ session }) => session).map(({ owner }) => owner));
  return snapshot.policy.sites.flatMap((site): Attention[] => {
    if (there.has(site.id)) return [];
    const resources = snapshot.policy.resources.filter(({ siteIds }) =>
      siteIds.includes(site.id) && !siteIds.some((id) => there.has(id))
    );
    if (resources.length === 0) return [];
    const lost = listed(resources.map(({ name }) => name));
    return [{
      mood: "bad",
      text: `No gateway of site ${
        visible(site.name)
      } is online: nobody reaches ${lost}. Start one, or see its log.`,
    }];
  });
}

function relayTrouble(snapshot: Snapshot): Attention[] {
  const troubles: Attention[] = [];
  for (const gateway of snapshot.gateways()) {
    const live = snapshot.gatewayLive(gateway);
    if (!live) continue;
    const { relays } = live.report;
    const name = visible(gateway.name);
    const down = relays.filter(({ ready }) => !ready).length;
    if (relays.length === 0) {
      troubles.push({
        mood: "bad",
        text: `Gateway ${name} knows no relay: clients can't connect. Start one, or name it in the policy.`,
      });
    } else if (down === relays.length) {
      troubles.push({
        mood: "bad",
        text: `Gateway ${name} reaches none of its relays: clients behind difficult NATs can't connect. ` +
          "Check that UDP to the relays is let out.",
      });
    } else if (down > 0) {
      troubles.push({
        mood: "warn",
        text: `Gateway ${name} doesn't reach ${plural(down, "relay")} of ${relays.length}.`,
      });
    }
  }
  return troubles;
}

function lateReports(snapshot: Snapshot): Attention[] {
  return snapshot.gateways().flatMap((gateway): Attention[] => {
    const live = snapshot.gatewayLive(gateway);
    if (!live || snapshot.unixNow - live.at < LATE_REPORT) return [];
    return [{
      mood: "warn",
      text: `Gateway ${visible(gateway.name)} is connected but has stopped reporting. ` +
        "Its host may be overloaded: see its log.",
    }];
  });
}

/** Tokens of machines, which nobody renews by signing in. */
function endingTokens(snapshot: Snapshot): Attention[] {
  const ending = snapshot.tokens.filter(({ providerId, expiresAt }) =>
    providerId === undefined && expiresAt > snapshot.unixNow && expiresAt - snapshot.unixNow < SOON
  );
  if (ending.length === 0) return [];
  return [{
    mood: "warn",
    text: `${plural(ending.length, "token")} of ${listed([...new Set(ending.map(({ owner }) => owner))])} ` +
      `${ending.length === 1 ? "ends" : "end"} within a week. Make new ones in time.`,
  }];
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMED).map((name) => visible(name));
  return names.length > MAX_NAMED
    ? `${shown.join(", ")} and ${names.length - MAX_NAMED} more`
    : shown.join(", ");
}
