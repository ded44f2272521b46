import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pool } from "@neondatabase/serverless";
import { drizzle } from "drizzle-orm/neon-serverless";
import { migrate as migrateByDrizzle } from "drizzle-orm/neon-serverless/migrator";
import { beforeEach, describe, expect, test } from "vitest";
import type { Bundle, Migration } from "../../../lib/bundle/bundle.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import type { Target } from "../../../lib/target/target.ts";
import type { Relay } from "../../../local/relay/relay.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle } from "../../setup/make-migration.ts";
import { relayPool } from "../../setup/pool.ts";
import { createTestTarget, run, targetOf } from "../../setup/run.ts";

const EXECUTORS = ["drizzle", "statements"] as const;
const example = await compileBundle("drizzle");
const half = Math.floor(example.migrations.length / 2);
const beginning = makeBundle(...example.migrations.slice(0, half));

let database: TestDatabase;
let relay: Relay;
let target: Target;

beforeEach(async () => {
  ({ database, relay, target } = await createTestTarget());
  return () => database.close();
});

/** Drizzle's own `migrate()`, as a team calls it, on a folder with these migrations. */
async function byDrizzle(bundle: Bundle): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "folder-"));
  const pool: Pool = relayPool(database.url, relay.address);
  try {
    writeFolder(folder, bundle.migrations);
    await migrateByDrizzle(drizzle(pool), { migrationsFolder: folder });
  } finally {
    await pool.end();
    rmSync(folder, { recursive: true });
  }
}

function writeFolder(folder: string, migrations: readonly Migration[]): void {
  mkdirSync(join(folder, "meta"));
  const entries = migrations.map(({ tag, when }, idx) => ({ idx, tag, when, breakpoints: true }));
  writeFileSync(join(folder, "meta/_journal.json"), JSON.stringify({ entries }));
  for (const { tag, sql } of migrations) writeFileSync(join(folder, `${tag}.sql`), sql);
}

async function ledger(): Promise<unknown> {
  return await database.sql(
    "select id, hash, created_at::text as when from drizzle.__drizzle_migrations order by id",
  );
}

/** Every column, index, constraint, policy, trigger and function of the database. */
async function catalog(): Promise<unknown> {
  return await database.sql(`
    select 'column' as kind, table_schema || '.' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') as what
      from information_schema.columns where table_schema in ('public', 'drizzle')
    union all select 'index', indexdef from pg_indexes where schemaname in ('public', 'drizzle')
    union all select 'constraint', conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint where conrelid <> 0 and connamespace in ('public'::regnamespace, 'drizzle'::regnamespace)
    union all select 'policy', tablename || ' ' || policyname || ' ' || coalesce(qual, '') from pg_policies
    union all select 'trigger', pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    union all select 'function', pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
    order by 1, 2
  `);
}

describe.each(EXECUTORS)("a ledger written by %s", (executor) => {
  test("is the one that Drizzle's own migrator writes, and so is the schema", async () => {
    await run(target, example, { executor });
    const ours = { ledger: await ledger(), catalog: await catalog() };
    const other = await createTestDatabase();
    database = await replaceDatabase(other);
    await byDrizzle(example);

    expect(ours).toEqual({ ledger: await ledger(), catalog: await catalog() });
  });

  test("is continued by Drizzle's own migrator without running anything twice", async () => {
    await run(target, beginning, { executor });

    await byDrizzle(example);
    await byDrizzle(example);

    expect(await ledger()).toHaveLength(example.migrations.length);
    expect(await run(target, example)).toMatchObject({ status: "up-to-date" });
  });

  test("continues one that Drizzle's own migrator wrote without running anything twice", async () => {
    await byDrizzle(beginning);

    const report = await run(target, example, { executor });

    expect(report.applied.map(({ tag }) => tag)).toEqual(
      example.migrations.slice(half).map(({ tag }) => tag),
    );
    expect(await ledger()).toHaveLength(example.migrations.length);
    await byDrizzle(example);
    expect(await ledger()).toHaveLength(example.migrations.length);
  });
});

/** Closes the present database and goes on with another one. */
async function replaceDatabase(other: TestDatabase): Promise<TestDatabase> {
  await database.close();
  relay = await other.startRelay();
  target = targetOf(other.url, relay.address);
  return other;
}
