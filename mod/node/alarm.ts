/**
 * The earliest time that any of many connections wants to be driven, as a lower bound that costs nothing to ask: the
 * packet path does so several times per batch, with a thousand connections as with one. Whoever sets a wake-up tells
 * the alarm; when it goes off, the node looks at all and sets it anew.
 */
export class Alarm {
  /** Absolute ms; Infinity = nobody wants anything. */
  at = Infinity;

  /** Somebody wants to be driven at `at`. */
  note(at: number | undefined): void {
    if (at !== undefined && at < this.at) this.at = at;
  }
}
