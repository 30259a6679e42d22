/** Every command, in the order of the help text. */
import type { Command } from "../command.ts";
import { client } from "./client.ts";
import { demo } from "./demo.ts";
import { gateway } from "./gateway.ts";
import { portal } from "./portal/mod.ts";
import { relay } from "./relay.ts";
import { up } from "./up.ts";

export const DEFAULT_COMMAND = "gateway";
export const COMMANDS: readonly Command[] = [gateway, up, portal, relay, client, demo];
