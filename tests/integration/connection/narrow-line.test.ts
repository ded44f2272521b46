import { expect } from "vitest";
import { makeBundle, makeMigration } from "../../setup/make-migration.ts";
import { run, targetOf } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const LONG = "x".repeat(50_000);
const insert = `insert into notes values ('${LONG}')`;
const inserts = (count: number) => Array.from({ length: count }, () => insert);

test("what does not fit the line waits in the process, and counts as one sending", async ({
  database,
  target,
}) => {
  const large = makeMigration("0000_large", 1_000, "create table notes (t text)", ...inserts(100));

  const report = await run(target, makeBundle(large), { executor: "statements" });

  const [notes] = await database.sql("select count(*)::int, sum(length(t))::int from notes");
  expect(report).toMatchObject({ status: "applied", roundTrips: 3 });
  expect(notes).toEqual({ count: 100, sum: 5_000_000 });
});

test("a series that was refused is not sent to its end", async ({ database }) => {
  const relay = await database.startRelay({ bitsPerSecond: 20_000_000 });
  const failing = makeMigration(
    "0000_failing",
    1_000,
    "create table notes (t text)",
    "insert into nowhere values (1)",
    ...inserts(400),
  );

  const report = await run(targetOf(database.url, relay.address), makeBundle(failing));

  expect(report.error).toMatchObject({ code: "MIGRATION_FAILED", sqlstate: "42P01" });
  expect(report.error?.statement?.index).toBe(2);
  // Of 20 MB: what had left the process before the server's word came back.
  expect(relay.stats().bytesToServer).toBeLessThan(15_000_000);
  expect(await database.sql("select to_regclass('notes') as notes")).toEqual([{ notes: null }]);
});

test("a run whose time is over in the middle of its sending says for certain that nothing is committed", async ({
  database,
}) => {
  const relay = await database.startRelay({ bitsPerSecond: 1_000_000 });
  const large = makeMigration("0000_large", 1_000, "create table notes (t text)", ...inserts(600));

  const report = await run(targetOf(database.url, relay.address), makeBundle(large), {
    timeoutMs: 5_000,
  });

  expect(report.error).toMatchObject({ code: "DEADLINE", migration: large.tag });
  expect(report.error?.message).not.toContain("did not confirm");
  expect(relay.stats().bytesToServer).toBeLessThan(20_000_000);
  expect(await database.sql("select to_regclass('notes') as notes")).toEqual([{ notes: null }]);
});
