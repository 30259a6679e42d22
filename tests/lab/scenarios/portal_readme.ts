/**
 * ```
 *   laptop ── natc (of several kinds) ── core ── natg (forwards ports) ── home server ── res
 * ```
 * The router at home doesn't let anybody inside use the public address, as many don't.
 */
import assert from "node:assert/strict";
import { posternCommand } from "../../bench/tunnel/postern.ts";
import { Internet } from "../internet.ts";
import { blockPeers } from "../nat/peers.ts";
import { readStory } from "../portal/readme.ts";
import { eventually, type Scenario } from "../scenario.ts";

const PLACES = {
  "203.0.113.7": "198.51.100.50",
  "192.168.1.0/24": "10.50.0.0/24",
  "192.168.1.10": "10.50.0.2",
};
const FORWARDS = [
  { protocol: "tcp", ports: "8443" },
  { protocol: "udp", ports: "3478" },
  { protocol: "udp", ports: "49152-65535" },
] as const;
const START_MS = 15_000;

export const scenario: Scenario = {
  title:
    "the README's story, step by step: a laptop reaches a home server behind a router that forwards ports",
  needs: ["curl"],
  run: async (report) => {
    const story = await readStory(PLACES);
    const folder = await Deno.makeTempDir({ dir: "/run" });
    await using internet = await Internet.build();
    await internet.nat("natg", "cone", { forwards: FORWARDS, hairpin: false });
    await Deno.writeTextFile(`${folder}/policy.toml`, story.policy);
    const code = `Deno.serve({ hostname: "::", port: 80 }, () => new Response("home"))`;
    for (const host of ["res", "gateway"] as const) {
      internet.host(host).start([Deno.execPath(), "eval", code]);
    }

    report.step(`at home: postern ${story.up.join(" ")}`);
    const inFolder = ["env", "-C", folder, ...posternCommand()];
    const home = internet.host("gateway").start([...inFolder, ...story.up], {
      label: "postern up",
      env: { RUST_LOG: "debug" },
    });
    const ready = () => internet.host("gateway").run(["curl", "-sf", "http://127.0.0.1:8080/readyz"]);
    await eventually("the home server to be ready", START_MS, async () => (await ready()).code === 0).catch(
      (cause) => {
        throw new Error(home.tail(30), { cause });
      },
    );

    const token = (await Deno.readTextFile(`${folder}/laptop.token`)).trim();
    for (const kind of ["a cone NAT", "a symmetric NAT", "a firewall"] as const) {
      if (kind === "a symmetric NAT") await internet.nat("natc", "symmetric");
      if (kind === "a firewall") await blockPeers({ internet });
      report.step(`on the laptop, behind ${kind}: postern ${story.client.join(" ")} …`);
      const laptop = internet.host("client").start([...posternCommand(), ...story.client, token], {
        label: "postern client",
        env: { RUST_LOG: "debug" },
      });
      for (const page of [story.page, "http://10.50.0.1/"]) {
        await eventually(`${page} from the laptop`, START_MS, async () => {
          const fetched = await internet.host("client").check(["curl", "-sS", "--max-time", "5", page]);
          assert.equal(fetched, "home");
        }).catch((cause) => {
          throw new Error(`${home.tail(30)}\n${laptop.tail(30)}`, { cause });
        });
      }
      const path = /Packets take a path.*path=(\w+)/.exec(laptop.output)?.[1];
      report.note(`reached, ${path}`);
      assert.equal(path, kind === "a firewall" ? "relayed" : "direct");
      await laptop.stop();
    }
    await home.stop();
    assert.equal(home.status?.code, 0);
  },
};
