import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { BASIS, callMs, costTable } from "../../bench/fleet/cost.ts";
import { lifecycleRows } from "../setup/lifecycle-table.ts";

const sources = ["lifecycle", "lifecycle-answers"].map((name) =>
  readFileSync(`tests/bundle/${name}.test.ts`, "utf8"),
);

test("every row of CloudFormation's lifecycle in docs/reference/lifecycle.md is a test", () => {
  const untested = [...lifecycleRows().keys()].filter(
    (row) => !sources.some((source) => source.includes(`"${row}"`)),
  );

  expect(lifecycleRows().size).toBeGreaterThan(30);
  expect(untested).toEqual([]);
});

test("every trap in docs/traps.md names a test that exists", () => {
  const page = readFileSync("docs/traps.md", "utf8");
  const rows = Array.from(page.matchAll(/^\| (.+) \| `(.+)`: (.+) \|$/gm), ([, , file, title]) => ({
    path: `tests/${file}.test.ts`,
    title: title?.trim() ?? "",
  }));

  const missing = rows.filter(
    ({ path, title }) => !existsSync(path) || !readFileSync(path, "utf8").includes(title),
  );

  expect(rows.length).toBeGreaterThan(60);
  expect(missing).toEqual([]);
});

test("the costs in docs/explanation/fleets.md are those of the measured times", () => {
  const page = readFileSync("docs/explanation/fleets.md", "utf8");
  const seconds = (call: keyof Pick<typeof BASIS, "due" | "asked">) =>
    `${(callMs(BASIS[call]) / 1_000).toFixed(1)} s`;

  expect(page).toContain(costTable(BASIS));
  expect(page).toContain(`${seconds("due")} for a tenant that is due`);
  expect(page).toContain(`${seconds("asked")} for one with nothing to do`);
});
