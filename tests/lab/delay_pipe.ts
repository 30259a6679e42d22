/**
 * A cable with delay, jitter and loss between two hosts of a testbed, for kernels without netem: a process of its own
 * (`delay_pipe_process.ts`) holds a TUN device in each and carries every packet from one to the other, later.
 */
import { BackgroundProcess, type CableEnd, type Testbed } from "../../mod/embedded/testbed/mod.ts";

const SCRIPT = new URL("./delay_pipe_process.ts", import.meta.url).pathname;
const START_MS = 10_000;

/** Each direction on its own. */
export interface Impairment {
  /** One way, ms. */
  readonly delay: number;
  /** Up to this much is added or taken, ms; packets keep their order. */
  readonly jitter?: number;
  /** Share of packets that vanish, 0..1. */
  readonly loss?: number;
}

/** Connects the two ends, up and addressed, until the testbed goes. */
export async function delayedLink(
  bed: Testbed,
  a: CableEnd,
  b: CableEnd,
  { delay, jitter = 0, loss = 0 }: Impairment,
): Promise<void> {
  const ends = [a, b].flatMap(({ host, device }) => [host.name, device]);
  const command = [
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    SCRIPT,
    ...ends,
    ...[delay, jitter, loss].map(String),
  ];
  const process = new BackgroundProcess(command, { label: `delay pipe ${a.host.name}-${b.host.name}` });
  bed.own(process);
  await process.waitFor(/ready/, START_MS);
  for (const { host, device, addresses } of [a, b]) {
    await host.ip(
      ...addresses.map((address) =>
        `addr add ${address} dev ${device}${address.includes(":") ? " nodad" : ""}`
      ),
      `link set ${device} up`,
    );
  }
}
