import { describe, expect } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { createCheckpoints } from "../../../lib/ledger/checkpoints.ts";
import type { TestDatabase } from "../../setup/database.ts";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const one = makeMigration("0000_one", 1_000, "create table one (id int)");
const indexed = makeMigration(
  "0001_indexed",
  2_000,
  "create index concurrently one_id on one (id)",
  "create table two (id int)",
);
const stuck = makeMigration(
  "0001_indexed",
  2_000,
  ...indexed.sql.split("\n--> statement-breakpoint\n").slice(0, 1),
  "select 1 / 0",
);

const of10 = (bundle: Bundle): Bundle => ({ ...bundle, layout: "1.0" });

async function beside(database: TestDatabase, schema = "drizzle"): Promise<readonly unknown[]> {
  const rows = await database.sql(
    "select relname from pg_class where relnamespace = $1::regnamespace and relkind = 'r' and relname ~ '_migrations' order by 1",
    [schema],
  );
  return rows.map(({ relname }) => relname);
}

const LEDGER = "__drizzle_migrations";
const CHECKPOINTS = `${LEDGER}_checkpoints`;

describe("the empty table of checkpoints", () => {
  test("is dropped where drizzle-kit 1.0 would drop its schema, once nothing is half applied", async ({
    database,
    target,
  }) => {
    const failed = await run(target, of10(makeBundle(one, stuck)));
    const kept = await beside(database);
    const done = await run(target, of10(makeBundle(one, indexed)));

    expect([failed.status, done.status]).toEqual(["failed", "applied"]);
    expect(kept).toEqual([LEDGER, CHECKPOINTS]);
    expect(done.warnings).toEqual([]);
    expect(await beside(database)).toEqual([LEDGER]);
  });

  test("is dropped in public, and one that an earlier version has left, too", async ({
    database,
    target,
  }) => {
    const ledger = { schema: "public", table: LEDGER, named: true };
    await run({ ...target, ledger }, makeBundle(one));
    await database.sqlAsOwner(createCheckpoints(ledger));
    const report = await run({ ...target, ledger }, makeBundle(one, indexed));

    expect(report).toMatchObject({ status: "applied", warnings: [] });
    expect(await beside(database, "public")).toEqual([LEDGER]);
  });

  test("stays where drizzle-kit does not look, where somebody has rights to it, and while it is read", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(one, indexed));
    const unseen = await beside(database);
    const three = makeMigration("0002_three", 3_000, "vacuum", "create table three (id int)");
    const reader = await database.hold(`lock table drizzle.${CHECKPOINTS} in access share mode`);
    const read = await run(target, of10(makeBundle(one, indexed, three)));
    await reader.release();
    const guest = await database.createRole("guest");
    await database.sqlAsOwner(`grant select on drizzle.${CHECKPOINTS} to ${guest.name}`);
    const four = makeMigration("0003_four", 4_000, "vacuum", "create table four (id int)");
    const granted = await run(target, of10(makeBundle(one, indexed, three, four)));

    expect(unseen).toContain(CHECKPOINTS);
    for (const report of [read, granted]) {
      expect(report).toMatchObject({ status: "applied", warnings: [] });
    }
    expect(await beside(database)).toContain(CHECKPOINTS);
  });
});
