import { expect, test } from "vitest";
import { checkpointPlace } from "../../../lib/ledger/checkpoints.ts";
import { runsPlace } from "../../../lib/queued-runs/home.ts";

test.each([
  ["__drizzle_migrations", "__drizzle_migrations_runs"],
  ["x".repeat(63), `${"x".repeat(50)}_runs`],
  ["é".repeat(31), `${"é".repeat(25)}_runs`],
  [`x${"é".repeat(31)}`, `x${"é".repeat(24)}_runs`],
])("the tables beside the ledger %s have names that PostgreSQL does not cut", (table, runs) => {
  const ledger = { schema: "drizzle", table };

  const names = [runsPlace(ledger), checkpointPlace(ledger)].map((place) => place.table);

  expect(names[0]).toBe(runs);
  expect(names[1]).toBe(runs.replace("_runs", "_checkpoints"));
  expect(names.filter((name) => Buffer.byteLength(name) > 63)).toEqual([]);
});
