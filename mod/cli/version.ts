import project from "../../deno.json" with { type: "json" };

/** Of this software, not of the protocol it speaks. */
export const VERSION: string = project.version;
