/** The portal's side of each conversation of spec portal §2–§5, in `transcripts/`. */
import { testTranscripts } from "../../../portal/transcript.ts";
import { PortalSubject } from "../portal_subject.ts";
import adminEvents from "../transcripts/admin_events.txt" with { type: "text" };
import anotherPlace from "../transcripts/another_place.txt" with { type: "text" };
import authorization from "../transcripts/authorization.txt" with { type: "text" };
import clientSignIn from "../transcripts/client_sign_in.txt" with { type: "text" };
import deprecated from "../transcripts/deprecated.txt" with { type: "text" };
import failover from "../transcripts/failover.txt" with { type: "text" };
import gatewayRestart from "../transcripts/gateway_restart.txt" with { type: "text" };
import gatewaySignIn from "../transcripts/gateway_sign_in.txt" with { type: "text" };
import lostWords from "../transcripts/lost_words.txt" with { type: "text" };
import mixedDialects from "../transcripts/mixed_dialects.txt" with { type: "text" };
import momentarilyAway from "../transcripts/momentarily_away.txt" with { type: "text" };
import oddMessages from "../transcripts/odd_messages.txt" with { type: "text" };
import officeHours from "../transcripts/office_hours.txt" with { type: "text" };
import portalRestart from "../transcripts/portal_restart.txt" with { type: "text" };
import refusals from "../transcripts/refusals.txt" with { type: "text" };
import refusedLogins from "../transcripts/refused_logins.txt" with { type: "text" };
import relaySignIn from "../transcripts/relay_sign_in.txt" with { type: "text" };
import relaysPresence from "../transcripts/relays_presence.txt" with { type: "text" };
import resourceChanges from "../transcripts/resource_changes.txt" with { type: "text" };
import sessions from "../transcripts/sessions.txt" with { type: "text" };
import versions from "../transcripts/versions.txt" with { type: "text" };
import wrongClock from "../transcripts/wrong_clock.txt" with { type: "text" };

testTranscripts({
  "a gateway signs in to the portal": gatewaySignIn,
  "a client signs in to the portal": clientSignIn,
  "a relay signs in to the portal": relaySignIn,
  "the portal refuses logins": refusedLogins,
  "the portal looks at versions": versions,
  "the portal authorizes": authorization,
  "the portal translates between dialects": mixedDialects,
  "the portal refuses access": refusals,
  "the portal and clients before 1.4": deprecated,
  "the portal tells of relays": relaysPresence,
  "the portal tells what administrators do": adminEvents,
  "the portal tells of changed resources": resourceChanges,
  "the portal ends sessions": sessions,
  "the portal ends grants by the clock": officeHours,
  "the portal judges a client that moved": anotherPlace,
  "the portal moves clients off a gateway that is gone": failover,
  "the portal and a gateway that is restarted": gatewayRestart,
  "the portal is restarted": portalRestart,
  "the portal is killed before it could say it": lostWords,
  "the portal keeps words for who is away": momentarilyAway,
  "the portal and odd messages": oddMessages,
  "the portal's clock is wrong": wrongClock,
}, (dialect) => new PortalSubject(dialect));
