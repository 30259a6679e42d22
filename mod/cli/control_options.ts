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

/** Of the portal: where it serves verbs, and whether it was told to. */
export function controlPlace(
  values: Parameters<typeof controlPath>[0],
): { readonly path: string; readonly required: boolean } | undefined {
  if (values.control === "off") return undefined;
  return { path: controlPath(values), required: values.control !== undefined || values.state !== undefined };
}

/** Of a verb: where the portal is. */
export function controlPath(
  values: OptionValues<typeof CONTROL_OPTIONS> & { readonly state: string | undefined },
) {
  return values.control ?? (values.state === undefined ? DEFAULT_CONTROL : `${values.state}.sock`);
}
