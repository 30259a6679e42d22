/** The state of an agent as a function of its pairs (snownet §2.11). */

export type IceState = "new" | "checking" | "connected" | "completed" | "disconnected";

/**
 * @param nominated some pair is nominated
 * @param possible some other pair may still become nominated, or candidates of either side are yet to come
 */
export function nextState(nominated: boolean, possible: boolean): Exclude<IceState, "new"> {
  if (nominated) return possible ? "connected" : "completed";
  return possible ? "checking" : "disconnected";
}
