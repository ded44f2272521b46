import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { lifecycleRows } from "../setup/lifecycle-table.ts";

const sources = ["lifecycle", "lifecycle-answers"].map((name) =>
  readFileSync(`tests/bundle/${name}.test.ts`, "utf8"),
);

test("every row of CloudFormation's lifecycle in docs/operations.md is a test", () => {
  const untested = [...lifecycleRows().keys()].filter(
    (row) => !sources.some((source) => source.includes(`"${row}"`)),
  );

  expect(lifecycleRows().size).toBeGreaterThan(30);
  expect(untested).toEqual([]);
});
