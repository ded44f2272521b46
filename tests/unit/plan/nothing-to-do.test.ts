import fc from "fast-check";
import { expect, test } from "vitest";
import type { Bundle } from "../../../lib/bundle/bundle.ts";
import { bundleHash } from "../../../lib/bundle/hash.ts";
import { overviewOf } from "../../../lib/bundle/overview.ts";
import { nothingToDo } from "../../../lib/plan/nothing-to-do.ts";
import { planMigrations } from "../../../lib/plan/plan-migrations.ts";
import { parseRequest } from "../../../lib/request.ts";
import { makeBundle, makeLedger, makeMigration, rowOf } from "../../setup/make-migration.ts";

/*
 * A complete ledger is known by its digest, and its rows are not read: whatever the migrations are, the plan must be that of
 * the rows.
 */

/** Few times, texts and names, so that many are alike. */
const anyFolder = fc.array(
  fc.record({
    when: fc.constantFrom(1_000, 1_500, 2_000, 2_001, 61_000),
    text: fc.constantFrom("", "select 1", "select 2", "create table a ()"),
    word: fc.constantFrom("one", "two", "three"),
  }),
  { maxLength: 6 },
);

function bundleOf(
  folder: readonly { readonly when: number; readonly text: string; readonly word: string }[],
  layout: Bundle["layout"],
): Bundle {
  const migrations = folder.map(({ when, text, word }, index) => {
    const migration = makeMigration(`${index}_${word}`, when, text);
    return layout === "1.0" ? { ...migration, name: migration.tag } : migration;
  });
  return { ...makeBundle(...migrations), layout, migrations, hash: bundleHash(migrations) };
}

test.each([
  ["0.x", "0.x"],
  ["0.x", "1.0"],
  ["1.0", "0.x"],
  ["1.0", "1.0"],
] as const)("of a folder %s and a ledger %s", (layout, format) => {
  let asked = 0;
  fc.assert(
    fc.property(anyFolder, fc.infiniteStream(fc.nat()), (folder, numbers) => {
      const bundle = bundleOf(folder, layout);
      if (overviewOf(bundle).complete[format] === null) return;
      asked += 1;
      const shuffled = bundle.migrations
        .map((migration) => ({ migration, rank: numbers.next().value ?? 0 }))
        .sort((one, other) => one.rank - other.rank);
      const rows = shuffled.map(({ migration }, index) =>
        rowOf(migration, index + 1, { name: format === "1.0" ? migration.name : null }),
      );
      const ledger = { ...makeLedger(...rows), format };

      const byRows = planMigrations(bundle, ledger, parseRequest({}));
      const known = { ...ledger, rows: [], isComplete: true };

      expect({ ...nothingToDo(bundle) }).toEqual(byRows);
      expect({ ...planMigrations(bundle, known, parseRequest({})) }).toEqual(byRows);
    }),
    { numRuns: 500 },
  );
  // Without names no folder of the layout 1.0 has a ledger of which no question is left.
  expect(asked > 0).toBe(layout === "0.x" || format === "1.0");
});
