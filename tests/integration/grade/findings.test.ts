import pc from "picocolors";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { findingLines } from "../../../bin/render/findings.ts";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import type { ReportedFinding } from "../../../lib/bundle/finding.ts";
import type { Target } from "../../../lib/target/target.ts";
import { checkAll } from "../../setup/check-all.ts";
import type { Holder, TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { createTestTarget, run } from "../../setup/run.ts";

let database: TestDatabase;
let target: Target;

beforeAll(async () => {
  ({ database, target } = await createTestTarget());
  await database.sqlAsOwner(`
    create schema other;
    create table few (id int primary key, at timestamp, name varchar(20) not null) with (autovacuum_enabled = off);
    insert into few select n, now(), n::text from generate_series(1, 12) n;
    create table none (id int);
    create table many (id int, filler text) with (autovacuum_enabled = off);
    insert into many select n, repeat('x', 100) from generate_series(1, 20000) n;
    create table parts (id int) partition by range (id);
    create table parts_1 partition of parts for values from (0) to (100000) with (autovacuum_enabled = off);
    insert into parts select n from generate_series(1, 40000) n;
    create index few_at on few (at);
    create table proven (id int, "Odd name" int, either int, constraint is_there check ("Odd name" is not null), check (either is not null or id > 0));
    create function other.ticket() returns text language sql volatile as 'select random()::text';
    create function stable_name() returns text language sql stable as 'select current_user::text';
    analyze;
  `);
});

afterAll(() => database.close());

/** Keeps a lock on tables that later tests need, too: until it is released, or the test ends. */
async function hold(text: string): Promise<Holder> {
  const holder = await database.hold(text);
  onTestFinished(() => holder.release());
  return holder;
}

/** A bundle of one migration with the findings that the compiler would give it. */
function bundleOf(...statements: readonly string[]): Bundle {
  const migration = makeMigration("0000_change", 1_000, ...statements);
  return makeBundle({ ...migration, findings: checkAll([migration])[0] ?? [] });
}

async function planned(...statements: readonly string[]): Promise<readonly ReportedFinding[]> {
  const report = await run(target, bundleOf(...statements), { action: "plan" });
  expect(report).toMatchObject({ status: "planned", warnings: [] });
  return report.findings;
}

const GRADES: readonly (readonly [string, string | RegExp | null])[] = [
  [
    "create index on few (name)",
    /^note index-not-concurrent: the table has about 12 rows \(\d+ kB\)/,
  ],
  [
    "create index on none (id)",
    "note index-not-concurrent: the table has no rows, never read since its statistics began",
  ],
  [
    "create index on many (id)",
    /^warning index-not-concurrent: the table has about 20,000 rows \(2\.\d MB\)/,
  ],
  [
    "create index on parts (id)",
    /^warning index-not-concurrent: the table has about 40,000 rows \(1\.\d MB\); it is partitioned/,
  ],
  [
    "create index on absent (id)",
    "error index-not-concurrent: this database does not have the table yet",
  ],
  [
    "drop index few_at",
    /^note index-dropped-not-concurrent: the table has about 12 rows \(\d+ kB\)/,
  ],
  [
    "drop table none",
    "note table-dropped: the table has no rows, never read since its statistics began",
  ],
  ["drop table few", /^error table-dropped: the table has about 12 rows \(\d+ kB\)/],
  [
    "alter table none rename to nothing",
    "note table-renamed: the table has no rows, never read since its statistics began",
  ],
  [
    "alter table few alter name set not null",
    "note not-null-without-check: the column is NOT NULL already",
  ],
  [
    `alter table proven alter "Odd name" set not null`,
    "note not-null-without-check: the validated CHECK is_there proves it",
  ],
  [
    "alter table many alter id set not null",
    /^warning not-null-without-check: the table has about 20,000 rows/,
  ],
  [
    "alter table proven alter either set not null",
    /^note not-null-without-check: the table has no rows/,
  ],
  ["create extension plpgsql", null],
  [
    "create extension no_such_thing",
    "error extension-not-on-neon: this server does not have the extension",
  ],
  ["create extension pageinspect", "note extension-not-on-neon: this server has the extension"],
  [
    "alter table few add ticket text default other.ticket()",
    /^note volatile-default: the function is volatile; the table has about 12 rows/,
  ],
  [
    "alter table many add ticket text default other.ticket()",
    /^warning volatile-default: the function is volatile; /,
  ],
  [
    "alter table many add owner text default stable_name()",
    "note volatile-default: the function is not volatile",
  ],
  [
    "alter table many add owner text default no_such()",
    "warning volatile-default: this database does not have the function yet",
  ],
];

/** Numbers are rounded to tens and hundreds since PostgreSQL 15. */
const ROUNDED: readonly (readonly [string, string])[] =
  inject("postgresMajor") < 15 ? [] : [["numeric(10,-2)", "numeric(11,-2)"]];

const TYPE_CHANGES: readonly (readonly [string, string])[] = [
  ...ROUNDED,
  ["varchar(20)", "varchar(30)"],
  ["varchar(20)", "varchar(10)"],
  ["varchar(20)", "varchar"],
  ["varchar(20)", "text"],
  ["text", "varchar"],
  ["text", "varchar(10)"],
  ["char(3)", "text"],
  ["char(3)", "char(5)"],
  ["numeric(10,2)", "numeric(12,2)"],
  ["numeric(10,2)", "numeric(12,3)"],
  ["numeric(10,2)", "numeric"],
  ["integer", "bigint"],
  ["integer", "oid"],
  ["timestamp", "timestamptz"],
  ["timestamptz", "timestamp"],
  ["timestamp(3)", "timestamp"],
  ["timestamp", "timestamp(3)"],
  ["timestamp(3)", "timestamptz(3)"],
  ["varbit(4)", "varbit(8)"],
  ["time(3)", "time(6)"],
  ["interval", "interval(3)"],
  ["text[]", "varchar[]"],
  ["varchar(20)[]", "varchar(30)[]"],
  ["varchar(20)[]", "varchar[]"],
  ["cidr", "inet"],
  ["json", "jsonb"],
  ["text", "uuid"],
  ["date", "timestamp"],
];

describe("plan", () => {
  test("grades each finding by the catalog", async () => {
    const migrations = GRADES.map(([statement], index) => {
      const migration = makeMigration(`migration ${index}`, index, statement);
      return { ...migration, findings: checkAll([migration])[0] ?? [] };
    });

    const { findings } = await run(target, makeBundle(...migrations), { action: "plan" });

    for (const [index, [statement, expected]] of GRADES.entries()) {
      const own = findings.filter(({ migration }) => migration === `migration ${index}`);
      const lines = own.map(({ rule, severity, evidence }) => `${severity} ${rule}: ${evidence}`);
      const wanted =
        typeof expected === "string" ? expected : expect.stringMatching(expected ?? "");
      expect({ statement, lines }).toEqual({ statement, lines: expected === null ? [] : [wanted] });
    }
  });

  test("says as PostgreSQL does which change of a type rewrites a table", async () => {
    const changes = TYPE_CHANGES.map(([, to], index) => {
      const cast = to === "jsonb" || to === "uuid" ? ` using c::${to}` : "";
      return `alter table typed_${index} alter column c type ${to}${cast}`;
    });
    const create = TYPE_CHANGES.map(([from], index) => `create table typed_${index} (c ${from})`);
    await database.sqlAsOwner(create.join("; "));
    const files = () =>
      database.sql(
        "select relname, relfilenode from pg_class where relname like 'typed!_%' escape '!'",
      );

    const findings = await planned(...changes);
    const before = await files();
    await database.sqlAsOwner(`set timezone = 'UTC'; ${changes.join("; ")}`);
    const after = await files();

    const fileOf = (rows: typeof before, index: number) =>
      rows.find(({ relname }) => relname === `typed_${index}`)?.relfilenode;
    const said = findings
      .filter(({ rule }) => rule === "column-type-changed")
      .map(({ evidence }) => evidence?.includes("must be converted"));
    expect(TYPE_CHANGES.map((change, index) => [...change, said[index]])).toEqual(
      TYPE_CHANGES.map((change, index) => [
        ...change,
        fileOf(after, index) !== fileOf(before, index),
      ]),
    );
  });

  test("says who reads and writes a table at this moment", async () => {
    const reader = await hold("select * from few limit 1");
    const writer = await hold("update few set name = name where id = 1");

    const findings = await planned("alter table few rename column name to title");
    await writer.release();
    await reader.release();

    expect(findings).toMatchObject([
      {
        severity: "error",
        rule: "column-renamed",
        evidence: expect.stringMatching(/, used by 2 sessions now, 1 of them writing$/),
      },
    ]);
  });

  test("takes one round trip more where there is something to ask, and none where there is not", async () => {
    const nothing = await run(target, bundleOf("select 1"), { action: "plan" });
    const much = Array.from({ length: 50 }, (_each, index) => `create index i${index} on few (id)`);
    const something = await run(target, bundleOf(...much), { action: "plan" });

    expect(something.findings).toHaveLength(50);
    expect(something.roundTrips - nothing.roundTrips).toBe(1);
  });

  test("does not wait for a lock that somebody holds, and says that it does not know", async () => {
    const holder = await hold("lock table few in access exclusive mode");

    const report = await run(target, bundleOf("create index on few (id)"), { action: "plan" });
    await holder.release();

    expect(report).toMatchObject({
      status: "planned",
      warnings: [{ code: "CATALOG_UNREAD" }],
      findings: [
        { rule: "index-not-concurrent", severity: "error", graded: false, evidence: null },
      ],
    });
  });
});

describe("up", () => {
  test("reports what it has applied as the texts have it, and asks nothing", async () => {
    const bundle = bundleOf("create index few_name on few (name)");

    const report = await run(target, bundle, { executor: "statements" });
    const again = await run(target, bundle);

    expect(report).toMatchObject({
      status: "applied",
      // One of them is that of the first contact with a database that has tables.
      roundTrips: 4,
      findings: [{ rule: "index-not-concurrent", severity: "error", evidence: null, statement: 1 }],
    });
    expect(again).toMatchObject({ status: "up-to-date", findings: [] });
  });

  test.each([
    ["create index few_at_2 on few (at)", "finding[index-not-concurrent]"],
    ["alter table few alter name type varchar(30)", "finding[column-type-changed]"],
    ["drop table if exists none", "finding[table-dropped]"],
    ["alter table few add code int not null", "finding[required-column-without-default]"],
    ["truncate few", "finding[table-truncated]"],
  ])("that fails gives no severity that only the catalog knows: %s", async (statement, label) => {
    const change = makeMigration("0001_fails", 2_000, statement, "select 1 / 0");
    const bundle = makeBundle({ ...change, findings: checkAll([change])[0] ?? [] });

    const failed = await run(target, bundle, { executor: "statements" });
    const plan = await run(target, bundle, { action: "plan" });

    const options = { folder: "drizzle", isOpen: true, colors: pc.createColors(false) };
    const lines = findingLines(failed.findings, options);
    expect(failed.status).toBe("failed");
    expect(lines.some((line) => line.startsWith(label))).toBe(true);
    expect(lines.at(-1)).toContain("how serious it is depends on this database");
    expect(plan.findings.filter(({ graded }) => graded === false)).toEqual([]);
  });
});
