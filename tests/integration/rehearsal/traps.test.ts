import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import type { Clock } from "../../../lib/neon/project-access.ts";
import { type RehearsalDependencies, rehearse } from "../../../lib/rehearsal/rehearse.ts";
import type { Report } from "../../../lib/report/report.ts";
import { parseRequest } from "../../../lib/request.ts";
import type { Fault } from "../../../local/neon/faults.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { useNeon } from "../../setup/neon.ts";
import { firstQuery, usePools } from "../../setup/pool.ts";
import { targetOf } from "../../setup/run.ts";

const LAUNCH = { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true };
const scene = useNeon({ plan: LAUNCH });
const open = usePools(() => scene.neon.productionUrl);

const TABLES = makeMigration("0000_tables", 1_000, "create table orders (id int)");
const BUNDLE = makeBundle(
  TABLES,
  makeMigration("0001_more", 2_000, "alter table orders add x int"),
);

/** What a test asks for beside the usual. */
interface Wish extends Partial<Pick<RehearsalDependencies, "keep">> {
  readonly url?: string;
  readonly clock?: Clock;
  readonly request?: object;
  readonly bundle?: Bundle;
}

/** Rehearses with the clock of a test. */
async function tryOut({
  url,
  clock = quickClock(),
  request = {},
  bundle = BUNDLE,
  keep,
}: Wish = {}): Promise<Report> {
  const { apiKey: key, projectId, url: api, productionUrl } = scene.neon;
  const report = await rehearse(parseRequest(request), {
    ...{ bundle, requestId: "try", deadline: null, log: silentLog },
    target: () => targetOf(url ?? productionUrl, scene.relay.address),
    access: () => Promise.resolve({ key, projectId, url: api, clock }),
    ...(keep === undefined ? {} : { keep }),
  });
  return JSON.parse(JSON.stringify(report));
}

/** A clock that only pauses move. They take no time. @param rest what a pause waits for. Default: an idle project */
function quickClock(rest: () => Promise<void> = () => scene.neon.idle()): Clock {
  let now = Date.now();
  return {
    now: () => now,
    pause: async (ms) => {
      now += ms;
      await rest();
    },
  };
}

const main = () => scene.neon.branch("main");
const callsOf = (name: string, from = 0) =>
  scene.neon.calls.slice(from).filter(({ call }) => call === name);
const withHost = (host: string) => {
  const url = new URL(scene.neon.productionUrl);
  url.hostname = host;
  return url.href;
};

beforeAll(async () => {
  const report = await migrate(parseRequest({}), {
    ...{ bundle: makeBundle(TABLES), requestId: "first", deadline: null, log: silentLog },
    target: () => targetOf(scene.neon.productionUrl, scene.relay.address),
  });
  expect(report.error).toBeUndefined();
});

afterEach(async () => {
  scene.neon.clearFaults();
  await scene.neon.idle();
});

test("connection_uri answers with production's host: REHEARSAL_UNSAFE, no statement is sent", async () => {
  scene.neon.fail("getConnectionURI", "production's uri");
  scene.relay.resetStats();

  const { error } = await tryOut();

  expect(error).toMatchObject({ code: "REHEARSAL_UNSAFE" });
  expect(error?.message).not.toContain(new URL(scene.neon.productionUrl).password);
  expect(scene.relay.stats().connections).toBe(0);
  expect(scene.neon.branchNames()).toEqual(["main"]);
});

test("production is not the default branch: its own branch is the parent", async () => {
  const other = scene.neon.branch(await scene.makeBranch({ name: "default-one" }));
  const { id } = main();
  await scene.call("POST", `/branches/${other.id}/set_as_default`);
  await main().sql("create table only_production (id int)");
  onTestFinished(async () => {
    await scene.call("POST", `/branches/${id}/set_as_default`);
    await main().sql("drop table only_production");
    await scene.deleteBranches();
  });
  const change = makeMigration("0001_own", 2_000, "alter table only_production add x int");

  const report = await tryOut({ bundle: makeBundle(TABLES, change) });

  expect(report.error).toBeUndefined();
  expect(report.rehearsal?.branch.parentId).toBe(id);
});

describe("pooled host, custom host, IP host in the URL", () => {
  test("the pooled host: the endpoint is found, and the branch is reached directly", async () => {
    const host = new URL(scene.neon.productionUrl).hostname.replace(".", "-pooler.");

    const report = await tryOut({ url: withHost(host) });

    expect(report.rehearsal?.status).toBe("passed");
    expect(report.database?.host).not.toContain("-pooler");
  });

  test.each(["db.example.com", "127.0.0.1", "[::1]"])(
    "%s: REHEARSAL_UNAVAILABLE, with the host and the setting",
    async (host) => {
      const before = scene.neon.calls.length;

      const { error } = await tryOut({ url: withHost(host) });

      expect(error).toMatchObject({ code: "REHEARSAL_UNAVAILABLE", retryable: false });
      expect(error?.message).toContain(`has no endpoint ${host}`);
      expect(error?.message).toContain("NEON_PROJECT_ID");
      expect(callsOf("createProjectBranch", before)).toEqual([]);
    },
  );
});

test("POST's answer is lost; the branch exists: it is found by its name and deleted, and there is never a second", async () => {
  const before = scene.neon.calls.length;
  scene.neon.fail("createProjectBranch", "answer lost");

  const report = await tryOut();

  expect(report.rehearsal).toMatchObject({ status: "passed", branch: { deleted: true } });
  expect(callsOf("createProjectBranch", before)).toHaveLength(1);
  expect(scene.neon.branchNames()).toEqual(["main"]);
});

test("the name is taken by a stale or foreign branch: it is never reused", async () => {
  const stale = await scene.makeBranch({ name: "neon-migrate-try" });
  onTestFinished(() => scene.deleteBranches());
  scene.neon.fail("createProjectBranch", "answer lost");
  scene.neon.fail("createProjectBranch", { status: 409, code: "BRANCH_ALREADY_EXISTS" });

  const report = await tryOut();

  expect(report.rehearsal).toMatchObject({ status: "passed", branch: { deleted: true } });
  expect(report.rehearsal?.branch.name).toMatch(/^neon-migrate-try-[0-9a-f]{8}$/);
  expect(scene.neon.branchNames()).toEqual(["main", stale]);
});

describe("423 for 30 s, 429, 503, 401, 404, the limit of branches", () => {
  const FULL = { status: 422, message: "branches limit exceeded", code: "BRANCHES_LIMIT_EXCEEDED" };

  test("423 for 30 s is waited for", async () => {
    const clock = quickClock();
    const from = clock.now();
    // So many waits of five seconds at the most are more than 30 s.
    scene.neon.fail("createProjectBranch", { status: 423 }, 14);

    const report = await tryOut({ clock });

    expect(clock.now() - from).toBeGreaterThan(30_000);
    expect(report.rehearsal?.status).toBe("passed");
  });

  test.each<[string, Fault, boolean, RegExp]>([
    ["423", { status: 423 }, true, /Another operation of the project runs\. Try again/],
    ["429", { status: 429 }, true, /Too many calls .* Try again in a minute/],
    ["503", { status: 503 }, true, /Try again later; neonstatus\.com/],
    ["401", { status: 401 }, false, /Look at the API key: was it revoked/],
    ["404", { status: 404 }, false, /Look at NEON_PROJECT_ID, which is \S+: the key must/],
    ["limit", FULL, false, /Delete branches that nobody needs, or raise the limit/],
  ])(
    "%s for good: REHEARSAL_UNAVAILABLE, with the way out",
    async (_what, fault, retryable, way) => {
      scene.neon.fail("createProjectBranch", fault, 1_000);

      const { error } = await tryOut({ clock: quickClock() });

      expect(error).toMatchObject({ code: "REHEARSAL_UNAVAILABLE", retryable });
      expect(error?.message).toMatch(way);
      expect(scene.neon.branchNames()).toEqual(["main"]);
    },
  );
});

describe("the operation ends failed, or never ends: the branch is deleted, and time is kept for it", () => {
  test.each(["create_branch", "start_compute"])("%s fails", async (action) => {
    scene.neon.failOperation(action, "no capacity in the region");

    const { error } = await tryOut();

    expect(error).toMatchObject({ code: "REHEARSAL_UNAVAILABLE", retryable: true });
    expect(error?.message).toContain("no capacity in the region");
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test("it never ends, in a short time, too", async () => {
    const go = scene.neon.holdOperations();
    onTestFinished(go);
    const before = scene.neon.calls.length;
    const clock = quickClock(async () => {
      await pause(1);
      if (callsOf("deleteProjectBranch", before).length === 0) return;
      go();
      await scene.neon.idle();
    });

    const { error } = await tryOut({ clock, request: { timeoutMs: 15_000 } });

    expect(error).toMatchObject({ code: "REHEARSAL_UNAVAILABLE", retryable: true });
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });
});

describe("delete answers 204, 423, 5xx, nothing: the run's outcome stays", () => {
  /** A clock by which little time is left once the branch's connection string was asked for: only the deletion comes then. */
  function shortClock(): Clock {
    const before = scene.neon.calls.length;
    const quick = quickClock();
    const end = quick.now() + 898_500;
    return {
      now: () => (callsOf("getConnectionURI", before).length > 0 ? end : quick.now()),
      pause: quick.pause,
    };
  }

  test.each<[string, Fault, number]>([
    ["204", "answer lost", 1],
    ["423", { status: 423 }, 2],
  ])("%s: it is deleted", async (_what, fault, times) => {
    scene.neon.fail("deleteProjectBranch", fault, times);

    const report = await tryOut();

    expect(report.rehearsal).toMatchObject({ status: "passed", branch: { deleted: true } });
    expect(report.warnings).toEqual([]);
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test.each<[string, Fault]>([
    ["500", { status: 500, message: "internal error" }],
    ["nothing", "no answer"],
  ])("%s for good: a warning with its id and its expiry", async (what, fault) => {
    scene.neon.fail("deleteProjectBranch", fault, 1_000);

    const report = await tryOut({ clock: what === "nothing" ? shortClock() : quickClock() });
    scene.neon.clearFaults();
    await scene.deleteBranches();

    expect(report.error).toBeUndefined();
    expect(report.rehearsal).toMatchObject({ status: "passed", branch: { deleted: false } });
    const { id, name, expiresAt } = report.rehearsal?.branch ?? {};
    const [{ code, message } = expect.fail("There is no warning.")] = report.warnings;
    expect(code).toBe("REHEARSAL_BRANCH_LEFT");
    expect(message).toContain(`${name} (${id}) could not be deleted`);
    expect(message).toContain(`Neon deletes it at ${expiresAt}`);
  });

  test("behind a migration that fails on the branch, and behind a branch that is never ready: the warning, too", async () => {
    const wrong = makeBundle(TABLES, makeMigration("0001_wrong", 2_000, "select 1 / 0"));
    scene.neon.fail("deleteProjectBranch", { status: 503 }, 1_000);
    const failed = await tryOut({ clock: quickClock(), bundle: wrong });
    scene.neon.failOperation("start_compute");
    const unready = await tryOut({ clock: quickClock() });
    scene.neon.clearFaults();
    await scene.deleteBranches();

    expect([failed, unready]).toMatchObject([
      { error: { code: "MIGRATION_FAILED" }, warnings: [{ code: "REHEARSAL_BRANCH_LEFT" }] },
      { error: { code: "REHEARSAL_UNAVAILABLE" }, warnings: [{ code: "REHEARSAL_BRANCH_LEFT" }] },
    ]);
  });
});

test("protected parent: it has a new password and the old one is refused; the URI from the API is used, not ours", async () => {
  const { id } = main();
  await scene.call("PATCH", `/branches/${id}`, { branch: { protected: true } });
  onTestFinished(async () => {
    await scene.call("PATCH", `/branches/${id}`, { branch: { protected: false } });
    await scene.deleteBranches();
  });

  const report = await tryOut({ keep: true });
  const { name = "" } = report.rehearsal?.branch ?? {};
  const ours = withHost(scene.neon.branch(name).host ?? "");
  const login = firstQuery(open(scene.towards(ours), { url: ours }));

  expect(report.rehearsal).toMatchObject({ status: "passed", branch: { deleted: false } });
  // `firstQuery` gives the error as a value.
  expect(await login).toMatchObject({
    message: expect.stringMatching(/^password authentication failed/),
  });
  expect(JSON.stringify(report)).not.toContain(new URL(ours).password);
});

describe("Free plan", () => {
  test("suspend_timeout_seconds is not sent", async () => {
    scene.neon.setPlan({ name: "free_v3", branches: 10, computeUnits: 2, suspension: false });
    onTestFinished(() => scene.neon.setPlan(LAUNCH));
    const before = scene.neon.calls.length;

    const report = await tryOut();

    expect(report.rehearsal?.status).toBe("passed");
    const [create] = callsOf("createProjectBranch", before);
    expect(JSON.stringify(create?.body)).not.toContain("suspend");
  });

  test("a CU above the plan: a clear error", async () => {
    scene.neon.setPlan({ computeUnits: 0.1 });
    onTestFinished(() => scene.neon.setPlan(LAUNCH));

    const { error } = await tryOut();

    expect(error).toMatchObject({ code: "REHEARSAL_UNAVAILABLE", retryable: false });
    expect(error?.message).toContain("autoscaling_limit_max_cu must not be above 0.1");
    expect(error?.message).toContain("make a branch with 0.25 to 0.25 CU, as production has");
  });
});
