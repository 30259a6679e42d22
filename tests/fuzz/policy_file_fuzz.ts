import assert from "node:assert/strict";
import { parsePolicy, PolicyError } from "../../mod/embedded/portal/mod.ts";
import corpus from "./corpus/policy_file.hex" with { type: "text" };
import { fromText, type FuzzTarget } from "./target.ts";

const SOURCE = { file: "policy.toml", readSecret: () => "secret-secret-secret" };

export const target: FuzzTarget = {
  title: "any policy file is read whole or refused with its mistakes, which do not quote secrets",
  seeds: [
    fromText(
      `[[site]]\nname = "a"\n[[gateway]]\nname = "g"\ntoken = "0123456789abcdef"\n[[client]]\nname = "c"\n` +
        `token_file = "t"\n[[resource]]\nname = "r"\naddress = "10.0.0.0/8"\nallow = ["c"]\nfilters = ["tcp/1-2"]\n` +
        `[[relay]]\nipv4 = "192.0.2.1"\nsecret = "0123456789abcdef"\n`,
    ),
  ],
  corpus,
  start: () => (input) => {
    try {
      const policy = parsePolicy(new TextDecoder().decode(input), SOURCE);
      return `${policy.sites.length} ${policy.gateways.length} ${policy.clients.length} ${policy.resources.length}`;
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      assert.ok(!error.message.includes("secret-secret-secret"));
      return error.problems.map(({ key }) => key.replace(/\[\d+\]/g, "")).sort().slice(0, 3).join(" ");
    }
  },
};
