import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, inject, test } from "vitest";
import { openBundle } from "../../lib/bundle/open-bundle.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { createTestDatabase, type TestDatabase } from "../setup/database.ts";
import { type Deployment, prepareDeployment } from "../setup/deployment.ts";
import { writeNamedFolder } from "../setup/folders.ts";
import { neonMigrate } from "../setup/neon-migrate.ts";
import { expectReport } from "../setup/report-schema.ts";

const FIRST = {
  tag: "20260102130400_create_accounts",
  when: Date.UTC(2026, 0, 2, 13, 4),
  sql: "create table accounts (id int)",
};
const NEXT = {
  tag: "20260102130500_fill_accounts",
  when: Date.UTC(2026, 0, 2, 13, 5),
  sql: "insert into accounts values (1);\ninsert into accounts\n  values (missing)",
};

let scratch: string;
let database: TestDatabase;
let deployment: Deployment;

beforeEach(async () => {
  scratch = mkdtempSync(join(tmpdir(), "named-"));
  database = await createTestDatabase();
  const environment = await database.functionEnvironment();
  deployment = prepareDeployment(environment);
  return async () => {
    await deployment.remove();
    await database.close();
    rmSync(scratch, { recursive: true });
  };
});

/** What the deployed function answers. */
async function ask(event: object) {
  const { payload } = await deployment.deliver({
    requestId: "named",
    event: { ...event, onFailure: "return" },
  });
  return expectReport(payload);
}

test("a function that is built from folders of drizzle-kit 1.0 plans, applies and reports by their names", async () => {
  writeNamedFolder(scratch, [FIRST]);
  await deployment.deployFolder(scratch);
  const pending = [{ tag: FIRST.tag, when: FIRST.when, statements: 1, reasons: [] }];

  expect(await ask({ action: "plan" })).toMatchObject({
    status: "planned",
    executorReason: "named-ledger",
    ledger: { format: "1.0" },
    pending,
  });
  expect(await ask({})).toMatchObject({ status: "applied", applied: [{ tag: FIRST.tag }] });
  writeNamedFolder(scratch, [NEXT]);
  await deployment.deployFolder(scratch);
  expect(await ask({})).toMatchObject({
    error: { migration: NEXT.tag, statement: { index: 2, line: 3, column: 11 } },
  });
  expect(await ask({ action: "status" })).toMatchObject({
    applied: [{ tag: FIRST.tag }],
    pending: [{ tag: NEXT.tag }],
  });
  expect(
    await database.sql("select name, created_at::float8 as when from drizzle.__drizzle_migrations"),
  ).toEqual([{ name: FIRST.tag, when: FIRST.when }]);
});

test("neon-migrate bundle makes the same bundle of such folders", async () => {
  const folder = join(scratch, "drizzle");
  const out = join(scratch, "out");
  writeNamedFolder(folder, [FIRST, NEXT]);

  const { exitCode } = await neonMigrate([
    ...["bundle", "--folder", folder, "--out", out, "--handler", inject("assetFolder")],
  ]);

  expect(exitCode).toBe(0);
  const { overview: _, ...written } = JSON.parse(
    JSON.stringify(openBundle(join(out, "bundle.json"))),
  );
  expect(written).toEqual(await compileBundle(folder));
});
