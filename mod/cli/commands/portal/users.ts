/** `user password`, `user totp` and `hash-password`: how people prove who they are. */
import type { EntryView } from "../../../embedded/portal/control/mod.ts";
import { encodeBase32 } from "../../../embedded/portal/policy/base32.ts";
import { hashPassword } from "../../../embedded/portal/sign_in/mod.ts";
import { readNewPassword } from "../../secret_input.ts";
import { printJson, socketVerb, type Verb, verb } from "./verb.ts";

/** 160 bits, as RFC 4226 §4 recommends. */
const TOTP_BYTES = 20;
const ISSUER = "Postern";
const NAME = [{ name: "NAME", help: "Name of the user." }];

export const USER_VERBS: readonly Verb[] = [
  verb({
    words: ["hash-password"],
    summary: "Make a password_hash for the policy file",
    positionals: [],
    options: {},
    run: async () => console.log(await hashPassword(await readNewPassword())),
  }),
  socketVerb({
    words: ["user", "password"],
    summary: "Set a user's password: from the terminal, or the first line of stdin",
    positionals: NAME,
    options: {},
    doing: ([name]) => `set the password of "${name}"`,
    run: async ({ options, positionals: [name], portal }) => {
      await portal("GET", ["objects", "user", name!]);
      const password_hash = await hashPassword(await readNewPassword());
      await portal("PATCH", ["objects", "user", name!], { changes: { password_hash } });
      options.json ? printJson({}) : console.log(`"${name}" has a new password.`);
    },
  }),
  socketVerb({
    words: ["user", "totp"],
    summary: "Have a user asked for one-time passwords, and print the secret for an authenticator app",
    positionals: NAME,
    options: { off: { flag: "off", kind: "switch", help: "Ask for none any more." } },
    doing: ([name]) => `set the one-time passwords of "${name}"`,
    run: async ({ options, positionals: [name], portal }) => {
      await portal<EntryView>("GET", ["objects", "user", name!]);
      const secret = encodeBase32(crypto.getRandomValues(new Uint8Array(TOTP_BYTES)));
      const totp_secret = options.off ? null : secret;
      await portal("PATCH", ["objects", "user", name!], { changes: { totp_secret } });
      const uri = options.off ? undefined : totpUri(name!, secret);
      if (options.json) return printJson({ uri });
      console.log(uri ?? `"${name}" is asked for no one-time password any more.`);
    },
  }),
];

/** As authenticator apps take it, from a QR code or pasted. */
function totpUri(name: string, secret: string): string {
  return `otpauth://totp/${encodeURIComponent(`${ISSUER}:${name}`)}?secret=${secret}&issuer=${ISSUER}`;
}
