import assert from "node:assert/strict";
import { PolicyError } from "../../../../mod/embedded/portal/policy/file.ts";
import { policyOf } from "../portal_world.ts";

Deno.test("an account can't be called like a page of the portal: its sign-in would never be reached", () => {
  for (const slug of ["admin", "healthz"]) {
    assert.throws(() => policyOf(`[account]\nslug = "${slug}"\n`), (error) => {
      assert.ok(error instanceof PolicyError);
      assert.match(error.message, /policy\.toml:2: account\.slug: the portal has a page of its own there/);
      return true;
    });
  }
  assert.equal(policyOf(`[account]\nslug = "admins"\n`).account.slug, "admins");
});
