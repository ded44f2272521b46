import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pc from "picocolors";
import { expect, test } from "vitest";
import { renderReport } from "../../../../bin/render/report.ts";
import type { Layout } from "../../../../lib/bundle/bundle.ts";
import { compileBundle } from "../../../../lib/compile/compile.ts";
import { MigratorError } from "../../../../lib/errors.ts";
import { describePending, failedReport } from "../../../../lib/report/report.ts";
import { writeJournaledFolder, writeNamedFolder } from "../../../setup/folders.ts";
import { makeBundle, makeMigration } from "../../../setup/make-migration.ts";

const TAG = "20260102130400_create_accounts";
const MIGRATION = { tag: TAG, when: Date.UTC(2026, 0, 2, 13, 4), sql: "create\ntable" };
const STATEMENT = { index: 1, line: 2, column: 6, excerpt: "create\ntable" };

const LAYOUTS = [
  ["0.x", writeJournaledFolder, `${TAG}.sql:2:6`],
  ["1.0", writeNamedFolder, `${TAG}/migration.sql:2:6`],
] as const;

function rendered(folder: string | null, thrown: unknown, layout: Layout | null): string {
  const bundle = layout === null ? null : { ...makeBundle(), layout };
  const options = { action: "up", folder, bundle, colors: pc.createColors(false) } as const;
  return renderReport(failedReport("test", thrown), options);
}

test.each(LAYOUTS)(
  "an error of PostgreSQL is placed in its file: layout %s",
  (layout, _, place) => {
    const thrown = new MigratorError("MIGRATION_FAILED", "No.", {
      migration: TAG,
      statement: STATEMENT,
      sqlstate: "42601",
    });

    expect(rendered("drizzle", thrown, layout)).toContain(`  drizzle/${place}\n`);
    expect(rendered(null, thrown, layout)).toContain(`  ${place}\n`);
  },
);

test.each(LAYOUTS)("an error of the parser is, too: layout %s", async (_, write, place) => {
  const folder = mkdtempSync(join(tmpdir(), "render-"));
  write(folder, [MIGRATION]);
  const thrown: unknown = await compileBundle(folder).catch((error: unknown) => error);

  const text = rendered(folder, thrown, null);
  rmSync(folder, { recursive: true });

  expect(text).toContain(`SQL_INVALID  ${folder}/${place}\n`);
});

test.each([
  ["Statement 1 of 3 is done and stays done; the next run goes on behind it.", 1, 0],
  ["Statements 1 to 2 of 3 are done and stay done; the ledger says where to go on.", 2, 0],
  ["Statements 1 to 2 of 3 are done and stay done; the ledger says where to go on.", 1, 1],
  ["No.", 1, 1],
])("the statements that stay done are counted once: %s (%i done)", (message, done, times) => {
  const migration = makeMigration(TAG, 1_000, "select 1", "select 2", "select 3");
  const report = failedReport(
    "test",
    new MigratorError("MIGRATION_FAILED", message, { migration: TAG }),
  );
  const database = { host: "h", name: "n", serverVersion: "18", role: "r" };
  const pending = [describePending(migration, [], done)];

  const text = renderReport(
    { ...report, database, pending },
    { action: "up", folder: null, bundle: null, colors: pc.createColors(false) },
  );

  expect(text.match(/are done, and stay done\./g) ?? []).toHaveLength(times);
});

test("prose fits the terminal, and SQL stays whole", () => {
  const query = `select ${Array(20).fill('"a_column"').join(", ")} from "customers";`;
  const advice = "The data contradicts the statement, which may be right. ".repeat(4);
  const report = failedReport(
    "test",
    new MigratorError("MIGRATION_FAILED", advice, { migration: TAG }),
  );
  const error = report.error === undefined ? undefined : { ...report.error, advice, query };

  const lines = renderReport(
    { ...report, ...(error === undefined ? {} : { error }) },
    { action: "up", folder: null, bundle: null, colors: pc.createColors(false), width: 60 },
  ).split("\n");

  expect(lines).toContain(`    ${query}`);
  expect(lines.filter((line) => line.length > 60)).toEqual([`    ${query}`]);
});
