/** `deno run … host port user:password`: a CONNECT proxy that says when it listens and what it is asked for. */
import { ConnectProxy } from "../../runtime/portal/connect_proxy.ts";

const [host, port, credentials] = Deno.args;
await ConnectProxy.start({
  listen: { host: host!, port: Number(port) },
  credentials: credentials!,
  onRequest: (line) => console.log(line),
});
console.log("Proxy is listening");
