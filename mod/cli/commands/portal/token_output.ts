/** A token on a terminal, the only time that anybody sees it. */
import type { TokenView } from "../../../embedded/portal/control/mod.ts";

/** Alone on its line on stdout, so that it can be piped; the words around it go to stderr. */
export function printToken({ token, role }: Pick<TokenView, "role"> & { readonly token: string }): void {
  console.error(`Its token, shown only now (a ${role} takes it as FIREZONE_TOKEN):`);
  console.log(token);
}
