import { beforeAll, describe, expect, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { silentLog } from "../../../lib/log.ts";
import { migrate } from "../../../lib/migrate/migrate.ts";
import { rehearse } from "../../../lib/rehearsal/rehearse.ts";
import type { Report } from "../../../lib/report/report.ts";
import { parseRequest } from "../../../lib/request.ts";
import type { Target } from "../../../lib/target/target.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { useNeon } from "../../setup/neon.ts";
import { targetOf } from "../../setup/run.ts";

const scene = useNeon({
  plan: { name: "launch_v3", branches: 50, computeUnits: 8, suspension: true },
});

const TABLES = makeMigration(
  "0000_tables",
  1_000,
  "create table orders (id int primary key, total int)",
  "insert into orders select i, i from generate_series(1, 5000) i",
);

function production(): Target {
  return targetOf(scene.neon.productionUrl, scene.relay.address);
}

async function tryOut(bundle: Bundle, request: object = {}): Promise<Report> {
  const { apiKey: key, projectId, url } = scene.neon;
  const report = await rehearse(parseRequest(request), {
    ...{ bundle, requestId: "try", deadline: null, log: silentLog },
    target: production,
    access: () => Promise.resolve({ key, projectId, url }),
  });
  return JSON.parse(JSON.stringify(report));
}

/** Everything that production's log has had to write, and the sessions that it has. */
async function productionState(): Promise<unknown> {
  const main = scene.neon.branch("main");
  const rows = await main.sql(
    `select (select count(*)::int from pg_class where relnamespace = 'public'::regnamespace) as relations,
       (select string_agg(hash, ',') from drizzle.__drizzle_migrations) as ledger`,
  );
  return rows;
}

beforeAll(async () => {
  const report = await migrate(parseRequest({}), {
    ...{ bundle: makeBundle(TABLES), target: production, requestId: "first", deadline: null },
    log: silentLog,
  });
  expect(report.error).toBeUndefined();
});

describe("a rehearsal", () => {
  test("says what would stand still and for how long, and leaves production and the project as they were", async () => {
    const before = await productionState();
    const bundle = makeBundle(
      TABLES,
      makeMigration("0001_type", 2_000, "alter table orders alter total type bigint"),
    );

    const report = await tryOut(bundle);

    expect(report.error).toBeUndefined();
    expect(report.status).toBe("planned");
    expect(report.pending.map(({ tag }) => tag)).toEqual(["0001_type"]);
    expect(report.applied).toEqual([]);
    const { rehearsal } = report;
    expect(rehearsal).toMatchObject({
      status: "passed",
      branch: { deleted: true, parentId: scene.neon.branch("main").id },
      standstills: [
        {
          ...{
            relation: "public.orders",
            kind: "table",
            mode: "ACCESS EXCLUSIVE",
            blocks: "reads",
          },
          since: { migration: "0001_type", statement: 1 },
        },
      ],
      rewrites: [{ relation: "public.orders", by: { migration: "0001_type", statement: 1 } }],
    });
    expect(rehearsal?.standstills[0]?.ms).toBeGreaterThan(0);
    expect(rehearsal?.standstills[0]?.bytes).toBeGreaterThan(5_000 * 8);
    expect(await productionState()).toEqual(before);
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test("fails with the migration's own code and statement, by the data of production", async () => {
    const bundle = makeBundle(
      TABLES,
      makeMigration("0001_check", 2_000, "alter table orders add check (total < 5000)"),
    );

    const report = await tryOut(bundle);

    expect(report.error).toMatchObject({
      ...{ code: "MIGRATION_FAILED", migration: "0001_check", sqlstate: "23514" },
      statement: { index: 1 },
    });
    expect(report.rehearsal).toMatchObject({ status: "failed", branch: { deleted: true } });
    expect(report.pending.map(({ tag }) => tag)).toEqual(["0001_check"]);
    expect(scene.neon.branchNames()).toEqual(["main"]);
  });

  test("CREATE INDEX CONCURRENTLY, fails, INVALID left: seen on the branch only", async () => {
    const bundle = makeBundle(
      TABLES,
      makeMigration(
        "0001_halves",
        2_000,
        "create unique index concurrently halves on orders ((total / 2))",
      ),
    );

    const report = await tryOut(bundle);

    expect(report.error).toMatchObject({ code: "MIGRATION_FAILED", sqlstate: "23505" });
    expect(report.error?.message).toContain('It left an INVALID index behind: "public"."halves".');
    const indexes = await scene.neon
      .branch("main")
      .sql("select relname from pg_class where relname = 'halves'");
    expect(indexes).toEqual([]);
  });

  test("samples a statement outside a transaction, and says so", async () => {
    const bundle = makeBundle(
      TABLES,
      makeMigration("0001_online", 2_000, "create index concurrently totals on orders (total)"),
    );

    const { rehearsal } = await tryOut(bundle);

    expect(rehearsal).toMatchObject({
      status: "passed",
      statements: [{ migration: "0001_online", statement: 1, samples: expect.any(Number) }],
    });
    expect(rehearsal?.standstills.every(({ sampled }) => sampled)).toBe(true);
  });

  test("is refused where a limit does not hold", async () => {
    const bundle = makeBundle(
      TABLES,
      makeMigration("0001_slow", 2_000, "alter table orders add note text", "select pg_sleep(0.2)"),
    );

    const report = await tryOut(bundle, { rehearsalLimits: { blockedMs: 100 } });

    expect(report.status).toBe("failed");
    expect(report.error?.code).toBe("REHEARSAL_LIMIT");
    expect(report.error?.message).toContain("reads of public.orders stood still for");
    expect(report.rehearsal?.status).toBe("refused");
  });
});
