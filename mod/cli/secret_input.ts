/** Reads a password: from a terminal without showing it, twice; else the first line of stdin. */
import { CommandError } from "./errors.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const MAX_LENGTH = 1024;

/** @throws CommandError when there is none, or the two differ */
export async function readNewPassword(): Promise<string> {
  if (!Deno.stdin.isTerminal()) {
    const password = (await new Response(Deno.stdin.readable).text()).split("\n")[0]!.replace(/\r$/, "");
    return checked(password);
  }
  const first = readHidden("Password: ");
  const second = readHidden("Again: ");
  if (first !== second) throw new CommandError("Cannot take the password: the two differ. Try again.");
  return checked(first);
}

function checked(password: string): string {
  if (password.length < 8 || password.length > MAX_LENGTH) {
    throw new CommandError("Cannot take the password: it needs 8 to 1024 characters.");
  }
  return password;
}

/** Raw mode shows nothing; so keys that edit a line are ours to handle. */
function readHidden(prompt: string): string {
  // Before anybody is asked: what is typed at once must not be shown either.
  Deno.stdin.setRaw(true);
  try {
    Deno.stderr.writeSync(encoder.encode(prompt));
    return readKeys();
  } finally {
    Deno.stdin.setRaw(false);
    Deno.stderr.writeSync(encoder.encode("\n"));
  }
}

function readKeys(): string {
  const buffer = new Uint8Array(256);
  let text = "";
  for (;;) {
    const count = Deno.stdin.readSync(buffer);
    if (count === null) return text;
    for (const key of decoder.decode(buffer.subarray(0, count), { stream: true })) {
      if (key === "\r" || key === "\n" || key === "\x04") return text;
      if (key === "\x03") throw new CommandError("Cannot take the password: interrupted.");
      if (key === "\x7f" || key === "\b") text = [...text].slice(0, -1).join("");
      else if (key === "\x15") text = "";
      else if (key >= " ") text += key;
    }
  }
}
