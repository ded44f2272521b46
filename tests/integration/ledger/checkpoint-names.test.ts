import { describe, expect } from "vitest";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

/** Tags of the 0.x layout whose files were made in the same second: their names are equal. */
const table = makeMigration("0000_table", 500, "create table seeds (n int)");
const seed = (tag: string, numbers: readonly number[], ...more: readonly string[]) =>
  makeMigration(tag, 1_000, ...numbers.map((n) => `insert into seeds values (${n})`), ...more);
const stops = ["vacuum seeds", "select 1 / 0"];

describe("of two files with the same name, one of which is half applied,", () => {
  test("the other one runs whole", async ({ database, target }) => {
    const half = seed("0001_seed", [1], ...stops);
    const first = await run(target, makeBundle(table, half));
    const other = seed("0002_seed", [2]);

    const report = await run(
      target,
      makeBundle(table, seed("0001_seed", [1], "vacuum seeds"), other),
    );

    expect(first.pending).toMatchObject([{ tag: half.tag, done: 2 }]);
    expect(report.applied.map(({ tag }) => tag)).toEqual([half.tag, other.tag]);
    expect(await database.sql("select n from seeds order by n")).toEqual([{ n: 1 }, { n: 2 }]);
    expect(await checkpoints(database)).toEqual([]);
  });

  test("the other one runs whole also where it comes first, and has the same text", async ({
    database,
    target,
  }) => {
    const half = seed("0002_seed", [1], ...stops);
    await run(target, makeBundle(table, half));
    const earlier = seed("0001_seed", [1]);
    const report = await run(target, makeBundle(table, earlier, half));

    expect(report.applied.map(({ tag }) => tag)).toEqual([earlier.tag]);
    expect(await database.sql("select n from seeds")).toEqual([{ n: 1 }, { n: 1 }]);
    expect(await checkpoints(database)).toEqual([{ tag: half.tag }]);
  });

  test("both go on where they were", async ({ database, target }) => {
    const [one, two] = [seed("0001_seed", [1], ...stops), seed("0002_seed", [2], ...stops)];
    await run(target, makeBundle(table, one));
    await run(target, makeBundle(table, two));
    const mended = [
      seed("0001_seed", [1], "vacuum seeds", "insert into seeds values (11)"),
      seed("0002_seed", [2], "vacuum seeds", "insert into seeds values (22)"),
    ];

    const status = await run(target, makeBundle(table, one, two), { action: "status" });
    const report = await run(target, makeBundle(table, ...mended));

    expect(status.pending.map(({ done }) => done)).toEqual([2, 2]);
    expect(report.status).toBe("applied");
    expect(await database.sql("select n from seeds order by n")).toEqual(
      [1, 2, 11, 22].map((n) => ({ n })),
    );
    expect(await checkpoints(database)).toEqual([]);
  });

  test("a checkpoint whose tag is gone belongs to neither of them, and is told of", async ({
    database,
    target,
  }) => {
    await run(target, makeBundle(table, seed("0001_seed", [1], ...stops)));

    const report = await run(
      target,
      makeBundle(table, seed("0008_seed", [8]), seed("0009_seed", [9])),
    );

    expect(report.warnings).toMatchObject([{ code: "HALF_APPLIED_ELSEWHERE" }]);
    expect(await database.sql("select n from seeds order by n")).toEqual(
      [1, 8, 9].map((n) => ({ n })),
    );
  });
});

test("a checkpoint whose tag was changed is found by its name, and removed at the end", async ({
  database,
  target,
}) => {
  await run(target, makeBundle(table, seed("0001_seed", [1], ...stops)));
  const renamed = {
    ...seed("0001_seed", [1], "vacuum seeds", "insert into seeds values (2)"),
    tag: "19700101000001_seed",
  };

  const report = await run(target, makeBundle(table, renamed));

  expect(report.applied.map(({ tag }) => tag)).toEqual([renamed.tag]);
  expect(await database.sql("select n from seeds order by n")).toEqual([{ n: 1 }, { n: 2 }]);
  expect(await checkpoints(database)).toEqual([]);
});

async function checkpoints({ sql }: { sql(text: string): Promise<object> }): Promise<object> {
  return await sql("select tag from drizzle.__drizzle_migrations_checkpoints order by tag");
}
