import { parsePolicy, PolicyError } from "../../mod/embedded/portal/mod.ts";
import { fromText, type FuzzTarget } from "./target.ts";

const SOURCE = { file: "policy.toml", readSecret: () => "secret-secret-secret" };

export const target: FuzzTarget = {
  title: "any policy file is read or refused with its mistakes",
  seeds: [
    fromText(
      `[[site]]\nname = "a"\n[[gateway]]\nname = "g"\ntoken = "0123456789abcdef"\n[[client]]\nname = "c"\n` +
        `token_file = "t"\n[[resource]]\nname = "r"\naddress = "10.0.0.0/8"\nallow = ["c"]\nfilters = ["tcp/1-2"]\n` +
        `[[relay]]\nipv4 = "192.0.2.1"\nsecret = "0123456789abcdef"\n`,
    ),
  ],
  run(input) {
    try {
      parsePolicy(new TextDecoder().decode(input), SOURCE);
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
    }
  },
};
