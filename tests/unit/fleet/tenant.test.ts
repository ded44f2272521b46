import { expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { resolveTenant } from "../../../lib/fleet/tenant.ts";
import { silentLog } from "../../../lib/log.ts";

/** AWS' words for a parameter that is not there, as the reader of secrets hands them on. */
function missing(): never {
  const cause = Object.assign(new Error("not there"), { name: "ParameterNotFound" });
  throw new MigratorError("SECRET_UNAVAILABLE", "There is no such parameter.", { cause });
}

const dependencies = {
  resolve: () => Promise.resolve().then(missing),
  patience: { until: 0, log: silentLog },
  deadline: Date.now() + 60_000,
};

test.each([
  [{ id: "acme", parameter: "/tenants/acme/url" }, "TARGET_GONE"],
  [{ id: "acme", secret: "tenants/acme" }, "TARGET_GONE"],
  [{ id: "acme", database: "tenant_acme" }, "SECRET_UNAVAILABLE"],
])(
  "what is missing for %j is %s: what the function needs for itself is no tenant's",
  async (reference, code) => {
    await expect(resolveTenant(reference, dependencies)).rejects.toMatchObject({ code });
  },
);
