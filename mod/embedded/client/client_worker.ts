/** Worker entry: the lab client's data thread. */
import { CLIENT_ACTIVE, CLIENT_IDLE } from "../../ice/mod.ts";
import type { ClientEvent } from "../../portal/types.ts";
import { reviveClientEvent } from "../../runtime/revive.ts";
import { serveDataThread } from "../../runtime/data_thread.ts";
import { Client } from "./client.ts";
import { reportClient } from "./report.ts";

serveDataThread({
  role: "client",
  timings: { active: CLIENT_ACTIVE, idle: CLIENT_IDLE },
  build(parts, post) {
    const client = new Client(parts);
    const report = () => {
      for (let output = client.pollOutput(); output; output = client.pollOutput()) {
        const message = reportClient(output);
        if (message) post(message);
      }
    };
    return {
      core: client,
      handlePortal: (event, now) => client.handlePortal(reviveClientEvent(event as ClientEvent), now),
      handleNames: (reply, now) => client.handleNames(reply, now),
      report,
      reportEnd: report,
    };
  },
});
