/** Where the portal's control socket is: options of the portal and of its verbs. */
import type { OptionTable, OptionValues } from "./options.ts";

/** Of a portal without a state file; `/run` is empty after a boot, as sockets should be. */
export const DEFAULT_CONTROL = "/run/postern/portal.sock";

export const CONTROL_OPTIONS = {
  control: {
    flag: "control",
    env: "POSTERN_CONTROL",
    kind: "text",
    value: "socket",
    help:
      `Socket for the portal's verbs; the state file with .sock, or else ${DEFAULT_CONTROL}, when absent. \`off\`: none.`,
  },
} as const satisfies OptionTable;

/** Where the portal serves verbs. */
export interface ControlPlace {
  readonly path: string;
  /** Without the socket that was asked for, the portal doesn't start; without the others it can do. */
  readonly chosenBy: "option" | "state" | "default";
}

export function controlPlace(values: Parameters<typeof controlPath>[0]): ControlPlace | undefined {
  if (values.control === "off") return undefined;
  const chosenBy = values.control !== undefined ? "option" : values.state !== undefined ? "state" : "default";
  return { path: controlPath(values), chosenBy };
}

/** Of a verb: where the portal is. */
export function controlPath(
  values: OptionValues<typeof CONTROL_OPTIONS> & { readonly state: string | undefined },
) {
  return values.control ?? (values.state === undefined ? DEFAULT_CONTROL : `${values.state}.sock`);
}
