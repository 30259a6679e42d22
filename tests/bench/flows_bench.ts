/**
 * What recording flows costs per packet: in the tracker alone, one flow after the other (the worst case for every
 * cache), and as the difference it makes to a packet's way through the whole core, in percent of what a packet costs
 * with cipher and kernel at 3 Gbit/s (3.4 µs). Also: what a flow costs that opens and closes, its record included.
 */
import { Counters, IpHeader, PARSE_OK, Slab } from "../../mod/packet/mod.ts";
import { FlowTracker, renderRecord } from "../../mod/flows/mod.ts";
import { Stream } from "../gateway/stream.ts";
import { RST, SYN, tcp } from "../policy/packets.ts";
import { type Figure, measure } from "./figure.ts";

const FLOWS = 1000, SEGMENTS = 46, TRAINS = 20_000, WARM_UP_TRAINS = 5000;
/** 1280 bytes at 3 Gbit/s. */
const PACKET_NS = 3413;
const CLIENT = "11111111-1111-4111-8111-111111111111", RESOURCE = "44444444-4444-4444-8444-444444444444";
const about = { clientId: CLIENT, resourceId: RESOURCE, resourceName: "LAN", domain: undefined };

const slab = new Slab(1 << 20);
const area = slab.reserve(FLOWS * 64);

function tracker(): FlowTracker {
  return new FlowTracker({ slab, counters: new Counters(), unixNow: () => 1.7e12, seed: 3 });
}

function headers(flags: number): IpHeader[] {
  return Array.from({ length: FLOWS }, (_, i) => {
    const packet = tcp(`100.64.0.${2 + i % 100}`, 5000 + i, `10.0.${i % 50}.7`, 443, flags);
    const header = new IpHeader(), at = area + i * 64;
    slab.bytes.set(packet, at);
    if (header.parse(slab.bytes, at, packet.length) !== PARSE_OK) throw new Error("Unexpected refusal.");
    return header;
  });
}

function knownFlow(): Figure {
  const flows = tracker(), all = headers(SYN);
  for (const header of all) flows.start(header, about, 0);
  return measure("flows.packet", () => {
    for (const header of all) flows.sent(header, CLIENT, RESOURCE, 1);
  }, FLOWS);
}

function wholeFlow(): Figure {
  const flows = tracker(), [syn] = headers(SYN), [reset] = headers(RST);
  const { value, samples = [] } = measure("flows.open_and_close", () => {
    flows.start(syn!, about, 0);
    flows.sent(reset!, CLIENT, RESOURCE, 1);
    for (let batch = flows.pollRecords(); batch; batch = flows.pollRecords()) batch.forEach(renderRecord);
  });
  return {
    name: "flows.open_and_close",
    value: value / 1000,
    unit: "µs",
    samples: samples.map((ns) => ns / 1000),
  };
}

/** Train by train in turn, and the quick tenth of each: the machine's mood is larger than the difference. */
function share(): Figure[] {
  const streams = [new Stream(SEGMENTS), new Stream(SEGMENTS, { flows: true })] as const;
  const times = streams.map(() => new Float64Array(TRAINS));
  for (let train = -WARM_UP_TRAINS; train < TRAINS; train++) {
    for (const [i, stream] of streams.entries()) {
      stream.send();
      const started = performance.now();
      stream.receive();
      if (train >= 0) times[i]![train] = performance.now() - started;
    }
  }
  const [without, recorded] = times.map((all) => all.sort()[TRAINS / 10]! * 1e6 / SEGMENTS);
  const cost = recorded! - without!;
  return [
    { name: "flows.core_packet", value: cost, unit: "ns" },
    { name: "flows.core_packet.share", value: cost / PACKET_NS * 100, unit: "%" },
  ];
}

export function figures(): Figure[] {
  return [knownFlow(), wholeFlow(), ...share()];
}
