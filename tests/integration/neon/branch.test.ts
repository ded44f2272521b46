import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { AskedBranch } from "../../../lib/neon/branches.ts";
import { createNeonApi, type NeonApi } from "../../../lib/neon/neon-api.ts";
import type { ProjectAccess } from "../../../lib/neon/project-access.ts";
import { useNeon } from "../../setup/neon.ts";
import { firstQuery, usePools } from "../../setup/pool.ts";
import { waitFor } from "../../setup/wait-for.ts";

const scene = useNeon({ neighbours: 12 });
const open = usePools(() => scene.neon.productionUrl);

const LOGIN = { database: "neondb", role: "neondb_owner" };
const HOUR_MS = 3_600_000;

beforeAll(async () => {
  await scene.neon.branch("main").sql("create table notes (text text)");
  await scene.neon.branch("main").sql("insert into notes values ('of production')");
});

/** The API of the scene's project, and the waits that it took. Waits are short in truth. */
function connect(changes: Partial<ProjectAccess> = {}): NeonApi & { readonly waits: number[] } {
  const waits: number[] = [];
  const api = createNeonApi({
    ...{ key: scene.neon.apiKey, projectId: scene.neon.projectId, url: scene.neon.url },
    ...{ deadline: Date.now() + 600_000, code: "REHEARSAL_UNAVAILABLE" },
    clock: {
      now: Date.now,
      pause: async (ms) => {
        waits.push(ms);
        await pause(Math.min(ms, 50));
      },
    },
    ...changes,
  });
  return Object.assign(Object.create(api), { waits });
}

/** Asks for a branch of production that lives for an hour. */
function asked(changes: Partial<AskedBranch> = {}): AskedBranch {
  onTestFinished(() => scene.deleteBranches());
  return {
    prefix: "rehearsal",
    parentId: scene.neon.branch("main").id,
    expiresAt: new Date(Date.now() + HOUR_MS),
    ...changes,
  };
}

const rehearsals = () => scene.neon.branchNames().filter((name) => name.startsWith("rehearsal"));
const callsOf = (name: string) => scene.neon.calls.filter(({ call }) => call === name);
const hostOf = (url: string) => new URL(url).hostname;

describe("the life of a branch", () => {
  test("takes eight calls at most, and its expiry is in the first of them", async () => {
    let looks = 0;
    const api = connect({
      clock: {
        now: Date.now,
        pause: async (ms) => {
          looks += 1;
          // A slow machine must not count against us: the fourth look finds it ready.
          await (looks < 4 ? pause(ms) : scene.neon.idle());
        },
      },
    });
    const before = scene.neon.calls.length;

    const production = await api.findProduction(hostOf(scene.neon.productionUrl));
    const branch = await api.createBranch(
      asked({ parentId: production.branchId, compute: production.compute }),
    );
    await api.untilReady(branch);
    const url = await api.connectionUrl(branch, production, LOGIN);
    const rows = await firstQuery(open(scene.towards(url), { url }), "select text from notes");
    const deletion = await api.deleteBranch(branch.id);

    const made = scene.neon.calls.length - before;
    expect(made).toBeLessThanOrEqual(8);
    expect(api.calls).toBe(made);
    expect(rows).toEqual([{ text: "of production" }]);
    expect(deletion).toEqual({ deleted: true });
    expect(rehearsals()).toEqual([]);
    expect(callsOf("createProjectBranch").at(-1)?.body).toMatchObject({
      branch: { name: branch.name, expires_at: branch.expiresAt },
    });
    expect(Date.parse(branch.expiresAt ?? "")).toBeGreaterThan(Date.now());
  });

  test("begins at production's own branch, whichever is the default one", async () => {
    const other = scene.neon.branch(await scene.makeBranch({ name: "default-one" }));
    await scene.call("POST", `/branches/${other.id}/set_as_default`);
    onTestFinished(async () => {
      await scene.call("POST", `/branches/${scene.neon.branch("main").id}/set_as_default`);
      await scene.call("DELETE", `/branches/${other.id}`);
    });

    const production = await connect().findProduction(hostOf(scene.neon.productionUrl));

    expect(production.branchId).toBe(scene.neon.branch("main").id);
  });

  test("can be for good", async () => {
    const branch = await connect().createBranch(asked({ expiresAt: null }));

    expect(branch.expiresAt).toBeNull();
    expect(callsOf("createProjectBranch").at(-1)?.body).toMatchObject({
      branch: { name: branch.name, parent_id: branch.parentId },
    });
  });

  test("can begin in the past", async () => {
    const { lsn } = await scene.neon.branch("main").head();
    await scene.neon.branch("main").sql("insert into notes values ('later')");
    const api = connect();

    const branch = await api.createBranch(asked({ at: { lsn } }));
    await api.untilReady(branch);
    const rows = await scene.neon.branch(branch.name).sql("select text from notes");
    await scene.neon.branch("main").sql("delete from notes where text = 'later'");

    expect(rows).toEqual([{ text: "of production" }]);
  });

  test("uses the password that Neon makes for the child of a protected branch", async () => {
    const { id } = scene.neon.branch("main");
    await scene.call("PATCH", `/branches/${id}`, { branch: { protected: true } });
    onTestFinished(async () => {
      await scene.call("PATCH", `/branches/${id}`, { branch: { protected: false } });
    });
    const api = connect();

    const production = await api.findProduction(hostOf(scene.neon.productionUrl));
    const branch = await api.createBranch(asked());
    await api.untilReady(branch);
    const url = await api.connectionUrl(branch, production, LOGIN);

    expect(new URL(url).password).not.toBe(new URL(scene.neon.productionUrl).password);
    expect(await firstQuery(open(scene.towards(url), { url }))).toEqual([{ one: 1 }]);
  });
});

describe("the endpoint of a connection string", () => {
  test("is found by its pooled host, too", async () => {
    const pooled = hostOf(scene.neon.productionUrl).replace(".", "-pooler.").toUpperCase();

    const production = await connect().findProduction(pooled);

    expect(production.host).toBe(hostOf(scene.neon.productionUrl));
  });

  test.each(["db.example.com", "127.0.0.1", "ep-other-one-1234.local.neon.build"])(
    "is not found for %s",
    async (host) => {
      await expect(connect().findProduction(host)).rejects.toMatchObject({
        code: "REHEARSAL_UNAVAILABLE",
        message: expect.stringContaining(host),
        facts: { retryable: false },
      });
    },
  );

  test("is refused where Neon's API names production's", async () => {
    const api = connect();
    const production = await api.findProduction(hostOf(scene.neon.productionUrl));
    const branch = await api.createBranch(asked());
    await api.untilReady(branch);
    scene.neon.fail("getConnectionURI", "production's uri");

    const refused = api.connectionUrl(branch, production, LOGIN);

    await expect(refused).rejects.toMatchObject({ code: "REHEARSAL_UNSAFE" });
    await expect(refused).rejects.not.toThrow(new URL(scene.neon.productionUrl).password);
  });

  test("has no connection string for a role that Neon does not know", async () => {
    const api = connect();
    const production = await api.findProduction(hostOf(scene.neon.productionUrl));
    const branch = await api.createBranch(asked());

    await expect(
      api.connectionUrl(branch, production, { ...LOGIN, role: "made_by_sql" }),
    ).rejects.toMatchObject({
      code: "REHEARSAL_UNAVAILABLE",
      message:
        "Neon's API could not give the connection string of made_by_sql for neondb (404 role not found). It knows the passwords of the roles that were made in its console or by its API. Use such a role.",
    });
  });
});

describe("the project of an endpoint, where nobody names it,", () => {
  test.each(["all projects", "organization"] as const)(
    "is found by a key of %s among many, and the branch is made there",
    async (scope) => {
      const key = scope === "organization" ? scene.neon.addKey(scope) : scene.neon.apiKey;
      const api = connect({ key, projectId: null });

      const production = await api.findProduction(hostOf(scene.neon.productionUrl));
      const branch = await api.createBranch(asked({ parentId: production.branchId }));

      expect(production.branchId).toBe(scene.neon.branch("main").id);
      expect(rehearsals()).toEqual([branch.name]);
    },
  );

  test.each([
    ["a host that is not Neon's", "db.example.com", /^None of the 13 projects .* may list has/],
    [
      "an endpoint of nobody",
      "ep-none-1.eu-central-1.local.neon.build",
      /^None of the 13 projects/,
    ],
  ])("is not found for %s, which names the setting", async (_what, host, said) => {
    const refused = connect({ projectId: null }).findProduction(host);

    await expect(refused).rejects.toMatchObject({ code: "REHEARSAL_UNAVAILABLE" });
    await expect(refused).rejects.toThrow(said);
    await expect(refused).rejects.toThrow("Set NEON_PROJECT_ID");
  });

  test("asks for the endpoints of no project elsewhere", async () => {
    const before = scene.neon.calls.length;

    await connect({ projectId: null })
      .findProduction("ep-x.us-east-2.aws.neon.tech")
      .catch(() => undefined);

    expect(scene.neon.calls.slice(before).map(({ call }) => call)).toEqual([
      "getCurrentUserOrganizations",
      "listProjects",
    ]);
  });

  test("cannot be listed by the key of one project, and the setting is named", async () => {
    const key = scene.neon.addKey("this project");

    await expect(connect({ key, projectId: null }).findProduction("ep-x")).rejects.toMatchObject({
      code: "REHEARSAL_UNAVAILABLE",
      message:
        "Neon's API could not list projects (403 this API key may not list projects). Nothing says which project it is. Set NEON_PROJECT_ID (in the construct: rehearsal.projectId): then no list is needed.",
      facts: { retryable: false },
    });
  });
});

describe("a call whose answer does not come", () => {
  test("makes no second branch, and the first one is used", async () => {
    scene.neon.fail("createProjectBranch", "answer lost");
    const api = connect();

    const branch = await api.createBranch(asked());
    await api.untilReady(branch);

    expect(rehearsals()).toEqual([branch.name]);
    const { id, host } = scene.neon.branch(branch.name);
    expect(branch).toMatchObject({ id, host });
  });

  test("is made again where it did not arrive", async () => {
    scene.neon.fail("createProjectBranch", "call lost", 2);

    const branch = await connect().createBranch(asked());

    expect(rehearsals()).toEqual([branch.name]);
  });

  test("is not waited for beyond the deadline, and says what is missing", async () => {
    scene.neon.fail("createProjectBranch", "no answer", 9);
    const api = connect({ deadline: Date.now() + 1_000 });

    const refused = api.createBranch(asked());

    await expect(refused).rejects.toMatchObject({
      code: "REHEARSAL_UNAVAILABLE",
      facts: { retryable: true },
    });
    scene.neon.clearFaults();
  });

  test("deletes all the same", async () => {
    const api = connect();
    const branch = await api.createBranch(asked());
    await api.untilReady(branch);
    scene.neon.fail("deleteProjectBranch", "answer lost");

    const deletion = await api.deleteBranch(branch.id);

    expect(deletion).toEqual({ deleted: true });
    expect(rehearsals()).toEqual([]);
  });
});

describe("a refusal that passes", () => {
  test("is waited for as long as it says", async () => {
    scene.neon.fail("createProjectBranch", { status: 429, retryAfterSeconds: 7 }, 2);
    const api = connect();

    await api.createBranch(asked());

    expect(api.waits).toEqual([7_000, 7_000]);
  });

  test.each([409, 423, 503])("is tried again: %i", async (status) => {
    scene.neon.fail("createProjectBranch", { status }, 3);
    const api = connect();

    const branch = await api.createBranch(asked());

    expect(rehearsals()).toEqual([branch.name]);
    expect(api.waits).toHaveLength(3);
  });

  test("of the other operation of a project ends with that operation", async () => {
    const go = scene.neon.holdOperations();
    const first = await connect().createBranch(asked());
    const api = connect();

    const second = api.createBranch(asked());
    await waitFor(() => api.waits.length > 8);
    go();
    const { name } = await second;

    expect(rehearsals().sort()).toEqual([first.name, name].sort());
  });

  test.each([
    ["a wait of two minutes", { status: 429, retryAfterSeconds: 120 }, /429/],
    ["an API that is away for good", { status: 503 }, /503/],
  ])("is given up: %s", async (_what, fault, said) => {
    scene.neon.fail("listProjectEndpoints", fault, 100);

    const refused = connect().findProduction("ep-x");

    await expect(refused).rejects.toMatchObject({
      code: "REHEARSAL_UNAVAILABLE",
      message: expect.stringMatching(said),
      facts: { retryable: true },
    });
    scene.neon.clearFaults();
  });
});

describe("a refusal that stays", () => {
  test("says that the key is wrong", async () => {
    await expect(connect({ key: "napi_wrong" }).findProduction("ep-x")).rejects.toMatchObject({
      code: "REHEARSAL_UNAVAILABLE",
      message:
        "Neon's API could not list the endpoints of the project (401 authorization failed). Look at the API key: was it revoked, and may it use this project? Make another in Neon's console.",
      facts: { retryable: false },
    });
  });

  test("says that the key is for another project", async () => {
    const key = scene.neon.addKey("another project");

    await expect(connect({ key }).findProduction("ep-x")).rejects.toThrow(
      `(404 project not found). Look at NEON_PROJECT_ID, which is ${scene.neon.projectId}: the key must be allowed to use this project.`,
    );
  });

  test("says that the plan has no room", async () => {
    scene.neon.setPlan({ branches: 1 });
    onTestFinished(() => scene.neon.setPlan({ branches: 10 }));

    await expect(connect().createBranch(asked())).rejects.toMatchObject({
      message:
        "Neon's API could not make a branch (422 branches limit exceeded). Delete branches that nobody needs, or raise the limit of the plan.",
      facts: { retryable: false },
    });
  });

  test.each([
    ["the size", { compute: { minCu: 4, maxCu: 4 } }, /autoscaling_limit_max_cu/],
    ["the expiry", { expiresAt: new Date(0) }, /expires_at/],
    ["the point", { at: { lsn: "F/0" } }, /history/],
    ["the parent", { parentId: "br-none" }, /branch not found/],
  ])("quotes Neon about %s", async (_what, changes, said) => {
    const api = connect();

    await expect(api.createBranch(asked(changes))).rejects.toThrow(said);

    expect(api.waits).toEqual([]);
    expect(rehearsals()).toEqual([]);
  });
});

describe("an operation", () => {
  test.each(["create_branch", "start_compute"])("that fails is named: %s", async (action) => {
    scene.neon.failOperation(action, "no capacity in the region");
    const api = connect();
    const branch = await api.createBranch(asked());

    await expect(api.untilReady(branch)).rejects.toMatchObject({
      code: "REHEARSAL_UNAVAILABLE",
      message: expect.stringContaining(`${action} on the branch ${branch.id} ended as failed: no`),
      facts: { retryable: true },
    });
  });

  test("that never ends is given up at the deadline, and looked at ever more rarely", async () => {
    const go = scene.neon.holdOperations();
    onTestFinished(go);
    let now = Date.now();
    const waits: number[] = [];
    const api = connect({
      deadline: now + 60_000,
      clock: {
        now: () => now,
        pause: async (ms) => {
          waits.push(ms);
          now += ms;
          await pause(1);
        },
      },
    });
    const branch = await api.createBranch(asked());

    await expect(api.untilReady(branch)).rejects.toMatchObject({
      code: "REHEARSAL_UNAVAILABLE",
      facts: { retryable: true },
    });
    go();

    expect(waits).toEqual([500, 1_000, 2_000, 5_000, 10_000, 10_000, 10_000, 10_000, 10_000]);
  });
});

describe("a deletion", () => {
  test("of a branch that is gone is done", async () => {
    expect(await connect().deleteBranch("br-gone")).toEqual({ deleted: true });
  });

  test("that is refused says why, and throws nothing", async () => {
    const { id } = scene.neon.branch("main");

    expect(await connect().deleteBranch(id)).toEqual({
      deleted: false,
      reason: expect.stringMatching(/delete a branch \(422 .*root branch/),
    });
  });
});
