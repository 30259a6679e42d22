import { main } from "./mod/cli/mod.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
