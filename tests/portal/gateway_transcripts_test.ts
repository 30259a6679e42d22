/** The gateway's side of each conversation of spec portal §3, in `transcripts/`. */
import { GatewaySubject } from "./gateway_subject.ts";
import { testTranscripts } from "./transcript.ts";
import authorization from "./transcripts/authorization.txt" with { type: "text" };
import authorizationWithoutRelays from "./transcripts/authorization_without_relays.txt" with { type: "text" };
import badInput from "./transcripts/bad_input.txt" with { type: "text" };
import channelControl from "./transcripts/channel_control.txt" with { type: "text" };
import duplicateGateway from "./transcripts/duplicate_gateway.txt" with { type: "text" };
import expiry from "./transcripts/expiry.txt" with { type: "text" };
import firstLogin from "./transcripts/first_login.txt" with { type: "text" };
import gaveUp from "./transcripts/gave_up.txt" with { type: "text" };
import initAgain from "./transcripts/init_again.txt" with { type: "text" };
import initRevokes from "./transcripts/init_revokes.txt" with { type: "text" };
import invalidRef from "./transcripts/invalid_ref.txt" with { type: "text" };
import joinErrors from "./transcripts/join_errors.txt" with { type: "text" };
import joinWithoutReply from "./transcripts/join_without_reply.txt" with { type: "text" };
import noRelaysNewerPortal from "./transcripts/no_relays_newer_portal.txt" with { type: "text" };
import noRelaysOlderPortal from "./transcripts/no_relays_older_portal.txt" with { type: "text" };
import oldClient from "./transcripts/old_client.txt" with { type: "text" };
import oldClientWithoutAName from "./transcripts/old_client_without_a_name.txt" with { type: "text" };
import otherDisconnects from "./transcripts/other_disconnects.txt" with { type: "text" };
import outage from "./transcripts/outage.txt" with { type: "text" };
import portalDraining from "./transcripts/portal_draining.txt" with { type: "text" };
import reconnectInAJoin from "./transcripts/reconnect_in_a_join.txt" with { type: "text" };
import relaysPresence from "./transcripts/relays_presence.txt" with { type: "text" };
import report from "./transcripts/report.txt" with { type: "text" };
import resourceUpdated from "./transcripts/resource_updated.txt" with { type: "text" };
import revoke from "./transcripts/revoke.txt" with { type: "text" };
import silentPortal from "./transcripts/silent_portal.txt" with { type: "text" };
import tokenRevoked from "./transcripts/token_revoked.txt" with { type: "text" };
import wrongToken from "./transcripts/wrong_token.txt" with { type: "text" };

testTranscripts({
  "authorization": authorization,
  "authorization without relays": authorizationWithoutRelays,
  "bad input": badInput,
  "channel control": channelControl,
  "duplicate gateway": duplicateGateway,
  "expiry": expiry,
  "first login": firstLogin,
  "gave up": gaveUp,
  "init again": initAgain,
  "init revokes": initRevokes,
  "invalid ref": invalidRef,
  "join errors": joinErrors,
  "join without reply": joinWithoutReply,
  "no relays newer portal": noRelaysNewerPortal,
  "no relays older portal": noRelaysOlderPortal,
  "old client": oldClient,
  "old client without a name": oldClientWithoutAName,
  "other disconnects": otherDisconnects,
  "outage": outage,
  "portal draining": portalDraining,
  "reconnect in a join": reconnectInAJoin,
  "relays presence": relaysPresence,
  "report": report,
  "resource updated": resourceUpdated,
  "revoke": revoke,
  "silent portal": silentPortal,
  "token revoked": tokenRevoked,
  "wrong token": wrongToken,
}, (dialect) => new GatewaySubject(dialect));
