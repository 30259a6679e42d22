/** The README's story as data: its blocks, with the addresses of the lab in place of those of the text. */

const README = new URL("../../../README.md", import.meta.url);
const SECTION = "## Your laptop reaches your home server";

export interface Story {
  readonly policy: string;
  /** Without `sudo` and the program's name. */
  readonly up: readonly string[];
  /** The same, without the token. */
  readonly client: readonly string[];
  /** What is reached in the end. */
  readonly page: string;
}

/** @param places what stands in the README, and what is meant here */
export async function readStory(places: Readonly<Record<string, string>>): Promise<Story> {
  const text = await Deno.readTextFile(README);
  const start = text.indexOf(SECTION);
  const section = text.slice(start, text.indexOf("\n## ", start + 1));
  const blocks = [...section.matchAll(/^ *```(\w+)\n([^]*?)^ *```$/gm)].map(([, kind, body]) => {
    let here = body!.replace(/^ {3}/gm, "").trim();
    for (const [theirs, ours] of Object.entries(places)) here = here.replaceAll(theirs, ours);
    return { kind, text: here };
  });
  const [policy, up, client, curl] = blocks;
  if (start < 0 || blocks.map(({ kind }) => kind).join() !== "toml,sh,sh,sh") {
    throw new Error(
      "The README's story is no longer a policy file and three commands. Change this scenario, too.",
    );
  }
  return {
    policy: policy!.text,
    up: postern(up!.text),
    client: postern(client!.text).slice(0, -1),
    page: curl!.text.replace(/^curl /, ""),
  };
}

function postern(command: string): string[] {
  const match = /^sudo \.\/postern (.*)$/.exec(command);
  if (!match) throw new Error(`Not a command of the README's kind: ${command}`);
  return match[1]!.replace(/"\$\(.*\)"$/, "TOKEN").split(" ");
}
