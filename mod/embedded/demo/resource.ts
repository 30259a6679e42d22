/** The private server of the demo: a small page over HTTP on two ports, of which the policy allows one. */

export const ALLOWED_PORT = 80;
export const FORBIDDEN_PORT = 8080;
export const PAGE = "Hello from the private network.";

/** Serves until the process ends; prints `serving` when both ports are open. */
export async function serveResource(): Promise<void> {
  const handler = (_: Request, { remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>) =>
    new Response(`${PAGE} You came from ${remoteAddr.hostname}.\n`);
  const servers = [ALLOWED_PORT, FORBIDDEN_PORT].map((port) =>
    Deno.serve({ hostname: "::", port, onListen: () => {} }, handler)
  );
  console.log("serving");
  await Promise.all(servers.map(({ finished }) => finished));
}
