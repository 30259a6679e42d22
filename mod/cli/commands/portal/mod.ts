/** `postern portal`: the control plane, and the verbs that look at it and change it while it runs. */
import type { Command } from "../../command.ts";
import { UsageError } from "../../errors.ts";
import { OBJECT_VERBS } from "./objects.ts";
import { FILE_VERBS } from "./policy_files.ts";
import { runPortal } from "./run.ts";
import { TOKEN_VERBS } from "./tokens.ts";
import { USER_VERBS } from "./users.ts";
import type { Verb } from "./verb.ts";

const VERBS: readonly Verb[] = [...FILE_VERBS, ...TOKEN_VERBS, ...OBJECT_VERBS, ...USER_VERBS];

export const portal: Command = {
  async run(args, environment) {
    const [first, second] = args;
    const group = VERBS.filter(({ words }) => words[0] === first);
    if (group.length === 0) return await runPortal(args, environment, overview);
    const verb = group.find(({ words }) => words.length === 1 || words[1] === second);
    if (verb) return await verb.run(args.slice(verb.words.length), environment);
    const asked = second === undefined || second === "--help" || second === "-h";
    if (asked && second !== undefined) {
      console.log(lines(group).join("\n"));
      return 0;
    }
    const known = group.map(({ words }) => words[1]).join(", ");
    throw new UsageError(
      asked
        ? `Say what to do with ${first}: ${known}.`
        : `There is no \`${first} ${second}\`, only ${known}.`,
    );
  },
};

function overview(): string[] {
  return [
    "Verbs, for the portal that runs (all but check and hash-password); each has a --help:",
    ...lines(VERBS),
    "",
  ];
}

function lines(verbs: readonly Verb[]): string[] {
  const width = Math.max(...verbs.map(({ words }) => words.join(" ").length)) + 2;
  return verbs.map(({ words, summary }) => `  ${words.join(" ").padEnd(width)}${summary}`);
}
