import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pc from "picocolors";
import { expect, test } from "vitest";
import { renderReport } from "../../../../bin/render/report.ts";
import type { Layout } from "../../../../lib/bundle/bundle.ts";
import { compileBundle } from "../../../../lib/compile/compile.ts";
import { MigratorError } from "../../../../lib/errors.ts";
import { failedReport } from "../../../../lib/report/report.ts";
import { writeJournaledFolder, writeNamedFolder } from "../../../setup/folders.ts";
import { makeBundle } from "../../../setup/make-migration.ts";

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
