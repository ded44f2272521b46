import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Migration } from "../../../lib/bundle/bundle.ts";
import type { Target } from "../../../lib/target/target.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { createTestTarget, run } from "../../setup/run.ts";

let database: TestDatabase;
let target: Target;
const before: Migration[] = [];

beforeAll(async () => {
  ({ database, target } = await createTestTarget());
  await database.sqlAsOwner(
    "create table waits (id int generated always as identity, seen text, xid text default pg_current_xact_id()::text)",
  );
});

afterAll(() => database.close());

/** One more migration behind those of the tests before. */
function next(name: string, ...statements: string[]): Migration {
  const index = before.length;
  const migration = makeMigration(`000${index}_${name}`, (index + 1) * 1_000, ...statements);
  before.push(migration);
  return migration;
}

const SEE = "insert into waits (seen) select current_setting('lock_timeout')";

async function seen(): Promise<readonly unknown[]> {
  const rows = await database.sql("select seen from waits order by id");
  await database.sql("delete from waits");
  return rows.map((row) => row.seen);
}

describe("lock-timeout", () => {
  const statements = (name: string) => [
    `-- neon-migrate: lock-timeout 7s\n\n${SEE}`,
    `-- neon-migrate: lock-timeout 1min\n${SEE}`,
    `${SEE};\n-- ${name}`,
  ];

  test.each(["drizzle", "statements"])("is in force under the executor %s", async (executor) => {
    const other = next(`before_${executor}`, SEE);
    const waiting = next(executor, ...statements(executor));
    const last = next(`after_${executor}`, SEE);

    const report = await run(target, makeBundle(...before), {
      executor: executor === "drizzle" ? "auto" : "statements",
    });

    expect(report).toMatchObject({
      status: "applied",
      executor,
      atomic: true,
      applied: [{ tag: other.tag }, { tag: waiting.tag }, { tag: last.tag }],
    });
    expect(await seen()).toEqual(["2s", "7s", "1min", "7s", "2s"]);
  });

  test("is in force for a statement that stands alone, and not behind it", async () => {
    next(
      "alone",
      `-- neon-migrate: lock-timeout 9s\n-- neon-migrate: unparsed\n${SEE}`,
      `-- neon-migrate: unparsed\n${SEE}`,
      SEE,
    );

    const report = await run(target, makeBundle(...before));

    expect(report).toMatchObject({ status: "applied", executorReason: "not-transactional" });
    expect(await seen()).toEqual(["9s", "2s", "2s"]);
  });
});

test("unparsed runs a statement outside of any transaction", async () => {
  next("unparsed", "create table kept (n int)", "-- neon-migrate: unparsed\nvacuum kept");

  const report = await run(target, makeBundle(...before));

  expect(report).toMatchObject({ status: "applied", executor: "statements", atomic: false });
});

describe("no-transaction", () => {
  test("commits each statement by itself, and goes on behind the last that was done", async () => {
    const parts = (third: string) => [
      "-- neon-migrate: no-transaction\n\ninsert into waits (seen) values ('one')",
      "insert into waits (seen) values ('two')",
      `insert into waits (seen) values (${third})`,
      "insert into waits (seen) values ('four')",
    ];
    const failing = makeMigration("0100_single", 100_000, ...parts("1 / 0"));
    const mended = makeMigration("0100_single", 100_000, ...parts("'three'"));

    const failed = await run(target, makeBundle(...before, failing));
    const report = await run(target, makeBundle(...before, mended));

    expect(failed).toMatchObject({
      status: "failed",
      atomic: false,
      executorReason: "not-transactional",
      pending: [{ done: 2, statements: 4 }],
      error: { sqlstate: "22012", statement: { index: 3 } },
    });
    expect(report).toMatchObject({ status: "applied", applied: [{ tag: "0100_single" }] });
    const rows = await database.sql("select seen, xid from waits order by id");
    expect(rows.map((row) => row.seen)).toEqual(["one", "two", "three", "four"]);
    expect(new Set(rows.map(({ xid }) => xid)).size).toBe(4);
  });
});
