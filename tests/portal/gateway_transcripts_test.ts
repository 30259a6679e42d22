/** The gateway's side of each conversation of spec portal §3, in `transcripts/`. */
import { GatewaySubject } from "./gateway_subject.ts";
import { testTranscripts } from "./transcript.ts";

testTranscripts(new URL("./transcripts/", import.meta.url), (dialect) => new GatewaySubject(dialect));
