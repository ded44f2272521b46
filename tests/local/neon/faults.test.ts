import { describe, expect, onTestFinished, test } from "vitest";
import { useNeon } from "../../setup/neon.ts";
import { waitFor } from "../../setup/wait-for.ts";

const scene = useNeon();

const soon = (ms: number) => `${new Date(Date.now() + ms).toISOString().slice(0, 19)}Z`;
const create = (name: string, more: object = {}) =>
  scene.call("POST", "/branches", { branch: { name, ...more } });

/** Ends a test without branches beside the first one. */
function cleanUp(): void {
  onTestFinished(() => scene.deleteBranches());
}

describe("a call goes wrong on request", () => {
  test.each([
    [{ status: 409 }, null],
    [{ status: 423 }, null],
    [{ status: 429, retryAfterSeconds: 3 }, "3"],
    [{ status: 503 }, null],
    [{ status: 401 }, null],
  ])("with %j, and nothing is done", async (fault, retryAfter) => {
    scene.neon.fail("createProjectBranch", fault);

    const refused = await create("refused");

    expect(refused.status).toBe(fault.status);
    expect(refused.headers.get("retry-after")).toBe(retryAfter);
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test("by a lost answer, and the work is done", async () => {
    cleanUp();
    scene.neon.fail("createProjectBranch", "answer lost");

    await expect(create("made-in-silence")).rejects.toThrow("fetch failed");

    expect(scene.neon.branchNames()).toEqual(["main", "made-in-silence"]);
  });

  test("by a lost call, and nothing is done", async () => {
    scene.neon.fail("createProjectBranch", "call lost");

    await expect(create("never-made")).rejects.toThrow("fetch failed");

    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test("so often as was asked for, and only for the call that was named", async () => {
    scene.neon.fail("getProject", { status: 503 }, 2);

    const others = await scene.call("GET", "/branches");
    const statuses = [];
    for (let call = 0; call < 3; call += 1) statuses.push((await scene.call("GET", "")).status);

    expect([others.status, ...statuses]).toEqual([200, 503, 503, 200]);
  });

  test("by a connection string that names production", async () => {
    cleanUp();
    const { body } = await scene.call("POST", "/branches", {
      branch: { name: "mine" },
      endpoints: [{ type: "read_write" }],
    });
    await scene.neon.idle();
    scene.neon.fail("getConnectionURI", "production's uri");
    const query = `branch_id=${body.branch.id}&endpoint_id=${body.endpoints[0].id}&database_name=neondb&role_name=neondb_owner`;

    const wrong = await scene.call("GET", `/connection_uri?${query}`);
    const right = await scene.call("GET", `/connection_uri?${query}`);

    expect(wrong.body.uri).toBe(scene.neon.productionUrl);
    expect(new URL(right.body.uri).hostname).toBe(body.endpoints[0].host);
  });
});

describe("an operation", () => {
  test("that is held keeps every other change of the project out, and no reading", async () => {
    cleanUp();
    const go = scene.neon.holdOperations();

    const first = await create("first");
    const second = await create("second");
    const deletion = await scene.call("DELETE", `/branches/${first.body.branch.id}`);
    const held = await scene.call("GET", `/operations/${first.body.operations[0].id}`);
    go();
    await scene.neon.idle();
    const after = await scene.call("GET", `/operations/${first.body.operations[0].id}`);

    expect([first.status, second.status, deletion.status]).toEqual([201, 423, 423]);
    expect(second.body.message).toMatch(/running conflicting operations/);
    expect([held, after].map(({ body }) => body.operation.status)).toEqual(["running", "finished"]);
  });

  test("that fails says why, and those behind it are skipped", async () => {
    cleanUp();
    scene.neon.failOperation("create_branch", "no capacity");

    const { body } = await scene.call("POST", "/branches", {
      branch: { name: "unlucky" },
      endpoints: [{ type: "read_write" }],
    });
    await scene.neon.idle();

    const { operations } = (await scene.call("GET", "/operations?limit=2")).body;
    expect(body.operations).toHaveLength(2);
    expect(operations).toEqual([
      expect.objectContaining({ action: "start_compute", status: "skipped" }),
      expect.objectContaining({ action: "create_branch", status: "failed", error: "no capacity" }),
    ]);
  });
});

test("a branch whose deletion fails is there as before", async () => {
  cleanUp();
  const { body } = await scene.call("POST", "/branches", {
    branch: { name: "stays" },
    endpoints: [{ type: "read_write" }],
  });
  await scene.neon.idle();
  scene.neon.failOperation("delete_timeline", "the storage is away");

  await scene.call("DELETE", `/branches/${body.branch.id}`);
  await scene.neon.idle();

  const endpoints = await scene.call("GET", `/branches/${body.branch.id}/endpoints`);
  expect(endpoints.body.endpoints).toHaveLength(1);
  expect(await scene.neon.branch("stays").sql("select 1 as one")).toEqual([{ one: 1 }]);
});

describe("an expiry", () => {
  test("deletes the branch when its time is over, and not before", async () => {
    cleanUp();
    const { body } = await create("short-lived", { expires_at: soon(3_600_000) });
    await scene.neon.idle();
    const before = scene.neon.branchNames();

    scene.neon.passTime(3_700_000);
    await waitFor(() => !scene.neon.branchNames().includes("short-lived"));

    expect(body.branch.ttl_interval_seconds).toBeGreaterThan(3_500);
    expect(before).toEqual(["main", "short-lived"]);
  });

  test.each([
    ["past", () => ({ expires_at: "2020-01-01T00:00:00Z" })],
    ["more than 30 days away", () => ({ expires_at: soon(31 * 24 * 3_600_000 + 3_700_000) })],
    ["no time", () => ({ expires_at: "tomorrow" })],
    ["on a protected branch", () => ({ expires_at: soon(7_200_000), protected: true })],
  ])("is refused when it is %s", async (_what, branch) => {
    const refused = await create("wrong", branch());

    expect(refused.status).toBe(400);
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test("keeps a branch from having children", async () => {
    cleanUp();
    const { body } = await create("no-parent", { expires_at: soon(7_200_000 + 3_700_000) });
    await scene.neon.idle();

    const child = await create("child", { parent_id: body.branch.id });

    expect(child.status).toBe(400);
  });
});

describe("the plan and the key", () => {
  test("limit the number of branches, the size of the compute and its suspension", async () => {
    scene.neon.setPlan({ branches: 1 });
    const tooMany = await create("one-more");
    scene.neon.setPlan({ branches: 10 });
    const ask = (endpoint: object) =>
      scene.call("POST", "/branches", { endpoints: [{ type: "read_write", ...endpoint }] });

    const tooLarge = await ask({ autoscaling_limit_max_cu: 3 });
    const suspended = await ask({ suspend_timeout_seconds: 60 });

    expect(tooMany).toMatchObject({ status: 422, body: { code: "BRANCHES_LIMIT_EXCEEDED" } });
    expect([tooLarge.status, suspended.status]).toEqual([422, 422]);
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test("decide who sees the project", async () => {
    const mine = scene.neon.addKey("this project");
    const others = scene.neon.addKey("another project");

    const statuses = await Promise.all(
      [mine, others, "napi_wrong"].map((key) => scene.call("GET", "", undefined, key)),
    );

    expect(statuses.map(({ status }) => status)).toEqual([200, 404, 401]);
  });
});

describe("Neon's document", () => {
  test.each([
    ["a name that is no text", "POST", "/branches", { branch: { name: 7 } }],
    ["an endpoint without a type", "POST", "/branches", { endpoints: [{}] }],
    [
      "a suspension of a month",
      "POST",
      "/branches",
      { endpoints: [{ type: "read_write", suspend_timeout_seconds: 2_600_000 }] },
    ],
    ["no database", "GET", "/connection_uri?role_name=neondb_owner", undefined],
    ["a limit of 0", "GET", "/branches?limit=0", undefined],
    ["an unknown order", "GET", "/branches?sort_by=size", undefined],
  ])("refuses a call with %s", async (_what, method, path, body) => {
    const { status, body: answer } = await scene.call(method, path, body);

    expect(status).toBe(400);
    expect(answer.message).not.toBe("");
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test.each([
    ["DELETE", "of the first branch", "", 422],
    ["POST", "to become default", "/set_as_default", 200],
  ])("%s %s", async (method, _what, path, status) => {
    const { id } = scene.neon.branch("main");

    const answer = await scene.call(method, `/branches/${id}${path}`);

    expect(answer.status).toBe(status);
  });

  test("gives a name to one branch only, and a deleted branch's name is free", async () => {
    cleanUp();
    const first = await create("wanted");
    await scene.neon.idle();
    const second = await create("wanted");
    await scene.call("DELETE", `/branches/${first.body.branch.id}`);
    await scene.neon.idle();
    const third = await create("wanted");

    expect(second).toMatchObject({ status: 409, body: { code: "BRANCH_ALREADY_EXISTS" } });
    expect(third.status).toBe(201);
  });
});
