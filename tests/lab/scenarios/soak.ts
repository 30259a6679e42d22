/**
 * ```
 *   client ── natc (cone) ── core ── natg (cone) ── gateway ── res
 *                              └ portal, relay
 * ```
 * LAB_SOAK_SECONDS sets the length; ten minutes when absent.
 */
import { memory } from "../../bench/tunnel/load.ts";
import { withProduct } from "../product.ts";
import { eventually, type Scenario } from "../scenario.ts";

const SECONDS = Number(Deno.env.get("LAB_SOAK_SECONDS") ?? 600);
const SLICE = 20;
/** What a heap may wander without growing. */
const TOLERANCE_MB = 25;

export const scenario: Scenario = {
  title: "minutes of full load leave the memory of gateway and client flat",
  needs: ["iperf3", "ping"],
  long: true,
  run: (report) =>
    withProduct(async (product) => {
      await product.startClient();
      await eventually("an answer", 10_000, () => product.answers());
      const ends = [product.gateway, product.client];
      const measured: number[][] = [];
      for (let elapsed = 0; elapsed < SECONDS; elapsed += SLICE) {
        const gbps = await product.throughput(
          Math.min(SLICE, SECONDS),
          elapsed % (2 * SLICE) === 0 ? "up" : "down",
        );
        const resident = ends.map(({ pid }) => memory(pid).resident);
        measured.push(resident);
        report.note(
          `${elapsed + SLICE} s: ${gbps.toFixed(2)} Gbit/s, gateway ${resident[0]!.toFixed(0)} MB, ` +
            `client ${resident[1]!.toFixed(0)} MB`,
        );
      }
      // The first fifth warms up: code is compiled, buffers are touched for the first time.
      const warm = measured[Math.floor(measured.length / 5)]!, last = measured.at(-1)!;
      ends.forEach(({ label }, i) => {
        const growth = last[i]! - warm[i]!;
        if (growth > TOLERANCE_MB) throw new Error(`${label} grew by ${growth.toFixed(0)} MB.`);
      });
    }),
};
