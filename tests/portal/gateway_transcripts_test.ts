/** The gateway's side of each conversation of spec portal §3, in `transcripts/`. */
import { GatewaySubject } from "./gateway_subject.ts";
import { testTranscripts } from "./transcript.ts";
import firstLogin from "./transcripts/first_login.txt" with { type: "text" };

testTranscripts({ "first login": firstLogin }, (dialect) => new GatewaySubject(dialect));
