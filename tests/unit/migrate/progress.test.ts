import { expect, test } from "vitest";
import { milestones, startProgress } from "../../../lib/migrate/progress.ts";
import type { RunFacts } from "../../../lib/report/report.ts";
import { makeBundle } from "../../setup/make-migration.ts";

/** A run that has these migrations to apply, of three statements each. */
function progressOf(tags: readonly string[], onLook: () => void = () => undefined) {
  const progress = startProgress(makeBundle(), Date.now());
  const pending = tags.map((tag) => ({
    tag,
    get statements() {
      onLook();
      return 3;
    },
  }));
  progress.facts = { ...progress.facts, pending: pending as unknown as RunFacts["pending"] & {} };
  return progress;
}

test("how far a run is, counts every statement before this one, and follows the plan", () => {
  const progress = progressOf(["a", "b"]);
  const milestone = milestones(progress);

  const first = milestone({ migration: "b", index: 1 });
  progress.facts = progressOf(["b"]).facts;

  expect(first).toEqual({ migration: "b", done: 4, total: 6 });
  expect(milestone({ migration: "b", index: 2 })).toEqual({ migration: "b", done: 2, total: 3 });
});

test("how far a run is, costs no more for a statement where there are many", () => {
  let looks = 0;
  const tags = Array.from({ length: 500 }, (_, index) => `m${index}`);
  const milestone = milestones(
    progressOf(tags, () => {
      looks += 1;
    }),
  );

  const all = tags.map((migration) => milestone({ migration, index: 0 }).done);

  expect([all.at(-1), looks]).toEqual([499 * 3, 500]);
});
