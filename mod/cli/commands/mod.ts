/** Every command, in the order of the help text. */
import type { Command } from "../command.ts";
import { client } from "./client.ts";
import { gateway } from "./gateway.ts";
import { portal } from "./portal.ts";

export const DEFAULT_COMMAND = "gateway";
export const COMMANDS: readonly Command[] = [gateway, portal, client];
