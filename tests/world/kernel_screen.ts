/**
 * A kernel that screens what comes to a machine's sockets, as it is told to: what `ffi/udp/filter.ts` does on a real
 * host. The world's machines have one, so that every scenario would notice a screen that keeps out what belongs here.
 */
import type { Screening } from "../../mod/node/mod.ts";
import type { SocketAddress } from "../../mod/packet/address.ts";
import { Path } from "../../mod/packet/path.ts";
import { OPEN_SCREEN, type Screen, sparedKey, THINNED_TO_ONE_IN } from "../../mod/packet/screen.ts";
import { decodeStun } from "../../mod/stun/mod.ts";
import { classify, hasMac2, MessageType } from "../../mod/wireguard/mod.ts";
import type { Datagram } from "./datagram.ts";

export class KernelScreen {
  /** Datagrams that it has kept out. */
  dropped = 0;
  readonly #screening: Screening;
  readonly #chance: () => number;
  #screen: Screen = OPEN_SCREEN;

  /** @param chance 0 to 1, anew each time. */
  constructor(screening: Screening, chance: () => number) {
    this.#screening = screening;
    this.#chance = chance;
  }

  passes({ payload, source }: Datagram): boolean {
    const news = this.#screening.poll();
    if (news) {
      this.#screen = news;
      this.#screening.noteResult(true);
    }
    const passes = screenPasses(this.#screen, payload, source, this.#chance);
    if (!passes) this.dropped++;
    return passes;
  }
}

/** What the screen means, for one datagram. */
export function screenPasses(
  { users, thinned, spared }: Screen,
  payload: Uint8Array,
  sender: SocketAddress,
  chance: () => number,
): boolean {
  const type = classify(payload);
  if ((type === MessageType.Initiation || type === MessageType.Response) && !hasMac2(payload)) {
    const source = sender.bytes;
    if (spared.includes(sparedKey(Path.of(sender).words, 0))) return true;
    const isThinned = thinned === "everyone" ||
      thinned.some((network) =>
        network.length === (source.length === 4 ? 4 : 8) && network.every((byte, i) => byte === source[i])
      );
    return !isThinned || chance() < 1 / THINNED_TO_ONE_IN;
  }
  const stun = users && decodeStun(payload);
  if (!stun || stun.class !== "request") return true;
  const name = new TextEncoder().encode(stun.username ?? "");
  return name.length >= 4 && users.includes(new DataView(name.buffer, name.byteOffset).getUint32(0));
}
