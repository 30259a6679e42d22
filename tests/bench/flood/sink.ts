/**
 * `sink.ts <port>`: a UDP socket that nobody reads. What arrives costs the machine what any datagram costs it, and
 * ends in a full buffer: the least that a flood can take from its neighbours.
 */
import { openUdp } from "../../../ffi/udp/mod.ts";

openUdp({ family: 4, port: Number(Deno.args[0]), portRequired: true, receiveBufferBytes: 65_536 });
console.log("open");
setInterval(() => {}, 1 << 30);
