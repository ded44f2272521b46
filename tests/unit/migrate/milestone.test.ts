import { expect, test } from "vitest";
import { milestones } from "../../../lib/migrate/milestone.ts";
import type { PendingMigration } from "../../../lib/report/report.ts";

/** The facts of a run that has these migrations to apply, of three statements each. */
function factsOf(tags: readonly string[], onLook: () => void = () => undefined) {
  const pending = tags.map(
    (tag): PendingMigration => ({
      ...{ tag, hash: "", when: 0, done: 0, reasons: [] },
      get statements() {
        onLook();
        return 3;
      },
    }),
  );
  return { applied: [], pending };
}

test("how far a run is, counts every statement before this one, and follows the plan", () => {
  let facts = factsOf(["a", "b"]);
  const milestone = milestones(() => facts);

  const first = milestone({ migration: "b", index: 1 });
  facts = factsOf(["b"]);

  expect(first).toEqual({ migration: "b", done: 4, total: 6 });
  expect(milestone({ migration: "b", index: 2 })).toEqual({ migration: "b", done: 2, total: 3 });
});

test("how far a run is, costs no more for a statement where there are many", () => {
  let looks = 0;
  const tags = Array.from({ length: 500 }, (_, index) => `m${index}`);
  const facts = factsOf(tags, () => {
    looks += 1;
  });
  const milestone = milestones(() => facts);

  const all = tags.map((migration) => milestone({ migration, index: 0 }).done);

  expect([all.at(-1), looks]).toEqual([499 * 3, 500]);
});
