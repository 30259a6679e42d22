/**
 * Which pair carries the data (snownet §2.1, §2.12).
 *
 * The controlling side nominates the best pair that works, again whenever a better one starts to work. The
 * controlled side takes the best pair that was nominated, which copes with regular nomination (one pair, once) and
 * with RFC 5245's aggressive one (all pairs, on every check) alike.
 *
 * Priority alone would keep a dead path until its pair is dropped, which takes a gateway ten minutes. So a pair that
 * looks dead, by our unanswered checks, because our own address has changed since the last answer, or because the peer
 * now takes another nominated pair and not this one, comes behind those that don't. The handshake that a client sends
 * whenever its choice changes is the first sign of that. When all look dead nothing changes: there is nothing better
 * to go to.
 */
import type { CandidatePair } from "./pair.ts";

/** The pair that data should take; undefined when none is nominated. */
export function selectPair(
  pairs: readonly CandidatePair[],
  current: CandidatePair | undefined,
): CandidatePair | undefined {
  const nominated = pairs.filter((pair) => pair.isNominated);
  const looksDead = (pair: CandidatePair) =>
    pair.isSilent || pair.isDoubted ||
    nominated.some((other) => !other.isSilent && !other.isDoubted && pair.isDesertedFor(other));
  const kept = nominated.find((pair) => pair === current);
  return highest(nominated.filter((pair) => !looksDead(pair)), kept) ?? kept ?? highest(nominated, undefined);
}

/** The pair that the controlling side should nominate now, or undefined when the best one is nominated already. */
export function pairToNominate(pairs: readonly CandidatePair[]): CandidatePair | undefined {
  const working = pairs.filter((pair) => pair.succeeded && !pair.isSilent && !pair.isDoubted);
  const best = highest(working, highest(working.filter((pair) => pair.isNominated), undefined));
  return best?.isNominated ? undefined : best;
}

/** Of equal priorities `preferred` wins: a change needs a reason. */
function highest(
  pairs: readonly CandidatePair[],
  preferred: CandidatePair | undefined,
): CandidatePair | undefined {
  let best: CandidatePair | undefined;
  for (const pair of pairs) {
    if (!best || pair.priority > best.priority || (pair === preferred && pair.priority === best.priority)) {
      best = pair;
    }
  }
  return best;
}
