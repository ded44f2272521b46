import { describe, expect, test } from "vitest";
import { resolveTenant } from "../../../lib/fleet/tenant.ts";
import { silentLog } from "../../../lib/log.ts";
import { listOrganizationProjects, readConnectionUri } from "../../../lib/neon/neon-api.ts";
import { ORGANIZATION } from "../../../local/neon/project.ts";
import { useNeon } from "../../setup/neon.ts";

const OTHERS = Array.from({ length: 900 }, (_, index) => `other-project-${index}`);

const scene = useNeon({ neighbours: OTHERS });

const access = () => ({
  ...{ key: scene.neon.apiKey, url: scene.neon.url, projectId: "" },
  ...{ deadline: Date.now() + 60_000, code: "FLEET_UNAVAILABLE" as const },
});
const place = () => ({ project: scene.neon.projectId, database: "neondb", role: "neondb_owner" });

describe("the projects of an organisation", () => {
  test("are listed in pages of 400, each once", async () => {
    const projects = await listOrganizationProjects(access(), ORGANIZATION);

    expect(projects.map(({ id }) => id)).toEqual([...OTHERS, scene.neon.projectId]);
    expect(scene.neon.calls.filter(({ call }) => call === "listProjects")).toHaveLength(3);
  });

  test("cannot be listed by a key that was revoked, and the error has the code of the caller", async () => {
    const listing = listOrganizationProjects({ ...access(), key: "napi_old" }, ORGANIZATION);

    const thrown: unknown = await listing.catch((error: unknown) => error);

    expect(thrown).toMatchObject({ code: "FLEET_UNAVAILABLE" });
    expect(String(thrown)).not.toContain("napi_old");
  });
});

describe("a tenant by its project", () => {
  test("is found by the API, at its direct host", async () => {
    const uri = await readConnectionUri(access(), place());

    expect(uri).not.toContain("-pooler");
    expect(new URL(uri ?? "").pathname).toBe("/neondb");
  });

  test.each([
    ["project", { project: "no-such-project" }],
    ["branch", { branch: "br-no-such-12345678" }],
    ["database", { database: "nobodys" }],
    ["role", { role: "nobody" }],
  ])("is gone where there is no such %s", async (_what, other) => {
    expect(await readConnectionUri(access(), { ...place(), ...other })).toBeNull();
  });

  test("that is gone has a code of its own, and a key that may not ask is no such thing", async () => {
    process.env.NEON_API_URL = scene.neon.url;
    process.env.NEON_API_KEY = scene.neon.apiKey;
    const find = (project: string) =>
      resolveTenant(
        { id: "acme", neon: { ...place(), project } },
        {
          resolve: () => Promise.reject(new Error("Nothing is to be resolved.")),
          patience: { until: 0, log: silentLog },
          deadline: Date.now() + 60_000,
        },
      );

    await expect(find("no-such-project")).rejects.toMatchObject({ code: "TARGET_GONE" });
    process.env.NEON_API_KEY = "revoked";
    await expect(find(scene.neon.projectId)).rejects.toMatchObject({ code: "SECRET_UNAVAILABLE" });
  });
});
