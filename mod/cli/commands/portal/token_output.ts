/** A token on a terminal, the only time that anybody sees it. */
import type { TokenView } from "../../../embedded/portal/control/mod.ts";

export interface MadeTokenView extends Pick<TokenView, "role"> {
  readonly token: string;
  /** It outlives the portal's process. */
  readonly isKept: boolean;
}

/** Alone on its line on stdout, so that it can be piped; the words around it go to stderr. */
export function printToken({ token, role, isKept }: MadeTokenView): void {
  console.error(`Its token, shown only now (a ${role} takes it as FIREZONE_TOKEN):`);
  console.log(token);
  if (!isKept) console.error("It ends with the portal, which was started without --state and keeps nothing.");
}
