import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MigratorError } from "../../../lib/errors.ts";
import { lockKey } from "../../../lib/ledger/lock.ts";
import { silentLog } from "../../../lib/log.ts";
import { type Restored, type RestoreRequest, restore } from "../../../lib/restore/restore.ts";
import { DEFAULT_LEDGER, type Target } from "../../../lib/target/target.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { useNeon } from "../../setup/neon.ts";
import { run, targetOf } from "../../setup/run.ts";

const scene = useNeon({
  plan: { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true },
});

const TABLES = makeMigration(
  "0000_orders",
  1_000,
  "create table orders (id int primary key, note text)",
  "insert into orders values (1, 'good'), (2, 'good')",
);
const BAD = makeMigration("0001_notes", 2_000, "update orders set note = 'bad'");

function production(): Target {
  return targetOf(scene.neon.productionUrl, scene.relay.address);
}

async function goBack(changes: Partial<RestoreRequest>): Promise<Restored> {
  const { apiKey: key, projectId, url } = scene.neon;
  return await restore(
    { before: BAD.tag, inPlace: false, yes: false, expiresInHours: null, ...changes },
    {
      ...{ target: production(), requestId: "back", log: silentLog },
      ...{ access: { key, projectId, url }, deadline: Date.now() + 600_000 },
    },
  );
}

/** Returns the code and the sentence with which it is refused. */
async function refusal(changes: Partial<RestoreRequest>): Promise<readonly [string, string]> {
  const thrown = await goBack(changes).then(
    () => expect.fail("It was to be refused."),
    (error: unknown) => error,
  );
  if (!(thrown instanceof MigratorError)) throw thrown;
  return [thrown.code, thrown.message];
}

const orders = (branch: string) =>
  scene.neon.branch(branch).sql("select id, note from orders order by id");

const GOOD_ROWS = [
  { id: 1, note: "good" },
  { id: 2, note: "good" },
];
const BAD_ROWS = [
  { id: 1, note: "bad" },
  { id: 2, note: "bad" },
  { id: 3, note: "later" },
];

/** Applies the good migration, then the bad one, and writes a row behind it. */
async function makeAMess(): Promise<void> {
  const main = scene.neon.branch("main");
  await main.sql("drop table if exists orders");
  await main.sql("drop schema if exists drizzle cascade");
  for (const bundle of [makeBundle(TABLES), makeBundle(TABLES, BAD)]) {
    const report = await run(production(), bundle);
    expect(report.status).toBe("applied");
  }
  await main.sql("insert into orders values (3, 'later')");
}

describe("a branch with the state before a migration", () => {
  beforeAll(makeAMess);

  test("has the old rows and the migration pending, and production is as it was", async () => {
    const { kind, branch, point, production: of } = await goBack({});

    expect(kind).toBe("branch");
    expect(point.run).toMatchObject({ requestId: "test", migrations: ["0001_notes"] });
    expect(of).toMatchObject({ name: "main", branchId: scene.neon.branch("main").id });
    expect(branch).toMatchObject({ expiresAt: null, samePasswords: true, database: "neondb" });
    expect(branch?.name).toMatch(/^before-0001_notes-/);
    expect(await orders(branch?.name ?? "")).toEqual(GOOD_ROWS);
    expect(await orders("main")).toEqual(BAD_ROWS);
    const url = new URL(scene.neon.productionUrl);
    url.hostname = branch?.host ?? "";
    const there = await run(targetOf(url.href, scene.relay.address), makeBundle(TABLES, BAD), {
      action: "status",
    });
    expect(there.pending.map(({ tag }) => tag)).toEqual(["0001_notes"]);
  });

  test("can be had by a time, though production does not answer, and expires when it is told to", async () => {
    const lock = await scene.neon.branch("main").sql("select clock_timestamp() as now");
    const before = new Date(String(lock[0]?.now)).toISOString();
    const { apiKey: key, projectId, url } = scene.neon;
    const nobody = new URL(scene.neon.productionUrl);
    nobody.pathname = "/no_such_database";

    const asked = Date.now();
    const { branch } = await restore(
      { before, inPlace: false, yes: false, expiresInHours: 2 },
      {
        ...{ target: targetOf(nobody.href, scene.relay.address), requestId: "back" },
        ...{ access: { key, projectId, url }, deadline: Date.now() + 600_000, log: silentLog },
      },
    );

    // Neon takes an expiry in whole seconds.
    const expiresAt = Date.parse(branch?.expiresAt ?? "");
    const twoHoursMs = 7_200_000;
    expect(expiresAt).toBeGreaterThan(asked + twoHoursMs - 1_000);
    expect(expiresAt).toBeLessThanOrEqual(Date.now() + twoHoursMs);
    expect(await orders(branch?.name ?? "")).toEqual(BAD_ROWS);
  });

  test("is said to have other passwords where production is protected", async () => {
    const { id } = scene.neon.branch("main");
    await scene.call("PATCH", `/branches/${id}`, { branch: { protected: true } });

    const { branch } = await goBack({});

    await scene.neon.idle();
    await scene.call("PATCH", `/branches/${id}`, { branch: { protected: false } });
    expect(branch?.samePasswords).toBe(false);
  });
});

describe("production", () => {
  beforeEach(makeAMess);

  test("goes back, with the migration pending and the later rows in a branch", async () => {
    const { id, host } = scene.neon.branch("main");

    const { kind, preservedName } = await goBack({ inPlace: true, yes: true });

    expect(kind).toBe("restored");
    expect(preservedName).toMatch(/^before-restore-of-main-/);
    expect(await orders("main")).toEqual(GOOD_ROWS);
    expect(await orders(preservedName ?? "")).toEqual(BAD_ROWS);
    expect(scene.neon.branch("main")).toMatchObject({ id, host });
    const status = await run(production(), makeBundle(TABLES, BAD), { action: "status" });
    expect(status.pending.map(({ tag }) => tag)).toEqual(["0001_notes"]);
    expect(status.applied.map(({ tag }) => tag)).toEqual(["0000_orders"]);
    // A lock that stayed behind would keep the next run out.
    const again = await run(production(), makeBundle(TABLES, BAD), { lockTimeoutMs: 0 });
    expect(again.status).toBe("applied");
  });

  test("is not touched without a word of consent", async () => {
    const branches = scene.neon.branchNames();
    const calls = scene.neon.calls.length;

    const { kind, preservedName, windowSeconds, agoMs } = await goBack({ inPlace: true });

    expect(kind).toBe("shown");
    expect(preservedName).toBe("before-restore-of-main");
    expect(windowSeconds).toBe(21_600);
    expect(agoMs).toBeGreaterThan(0);
    expect(await orders("main")).toEqual(BAD_ROWS);
    expect(scene.neon.branchNames()).toEqual(branches);
    const methods = scene.neon.calls.slice(calls).map(({ method }) => method);
    expect(new Set(methods)).toEqual(new Set(["GET"]));
  });

  test("does not go back while a run holds the lock", async () => {
    const main = scene.neon.branch("main");
    const key = lockKey(DEFAULT_LEDGER);
    const holding = main.sql(
      `select pg_advisory_lock(${key}), pg_sleep(600) from (select set_config('application_name', 'a long run', false)) s`,
    );
    const ended = holding.catch(() => undefined);
    await expect
      .poll(() => main.sql("select 1 from pg_locks where locktype = 'advisory'"), {
        timeout: 60_000,
      })
      .toHaveLength(1);

    const [code, message] = await refusal({ inPlace: true, yes: true });

    await main.sql("select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'");
    await ended;
    expect(code).toBe("LOCKED");
    expect(message).toContain("A run is under way and holds the migration lock. It is ");
    expect(await orders("main")).toEqual(BAD_ROWS);
  });

  test("does not go back where its branch is protected", async () => {
    const { id } = scene.neon.branch("main");
    await scene.call("PATCH", `/branches/${id}`, { branch: { protected: true } });

    const [code, message] = await refusal({ inPlace: true, yes: true });

    await scene.call("PATCH", `/branches/${id}`, { branch: { protected: false } });
    expect(code).toBe("RESTORE_PROTECTED");
    expect(message).toContain("The branch main is protected");
    expect(await orders("main")).toEqual(BAD_ROWS);
  });
});

describe("a restore is refused", () => {
  const MINUTE = 60_000;
  const hence = (ms: number): string => new Date(Date.now() + ms).toISOString();

  const refusals: readonly (readonly [
    what: string,
    before: () => string,
    code: string,
    said: string,
  ])[] = [
    ["for a tag that nobody applied", () => "0009_never", "RESTORE_POINT_UNKNOWN", '"0009_never"'],
    [
      "for a time of another zone",
      () => "2026-11-29T09:09:00+01:00",
      "RESTORE_POINT_UNKNOWN",
      "A time is written as",
    ],
    ["outside the window", () => hence(-361 * MINUTE), "RESTORE_OUTSIDE_WINDOW", "which is 6 h"],
    ["in the future", () => hence(10 * MINUTE), "RESTORE_OUTSIDE_WINDOW", "is in the future"],
  ];

  test.each(refusals)("%s", async (_what, before, code, said) => {
    const branches = scene.neon.branchNames();

    for (const inPlace of [false, true]) {
      const refused = await refusal({ before: before(), inPlace, yes: inPlace });

      expect(refused).toEqual([code, expect.stringContaining(said)]);
    }
    expect(scene.neon.branchNames()).toEqual(branches);
  });

  test("with Neon's own words where its API is away", async () => {
    scene.neon.fail("createProjectBranch", { status: 503, message: "over capacity" }, 20);

    const [code, message] = await refusal({ before: hence(-1_000) });

    scene.neon.clearFaults();
    expect(code).toBe("RESTORE_UNAVAILABLE");
    expect(message).toContain("Neon's API could not make a branch (503 over capacity)");
  });
});
