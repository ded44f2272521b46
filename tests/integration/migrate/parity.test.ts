import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pool } from "@neondatabase/serverless";
import { drizzle } from "drizzle-orm/neon-serverless";
import { migrate as migrateByDrizzle } from "drizzle-orm/neon-serverless/migrator";
import { describe, expect, onTestFinished } from "vitest";
import type { Bundle, Migration } from "../../../lib/bundle/bundle.ts";
import { compileBundle } from "../../../lib/compile/compile.ts";
import type { Relay } from "../../../local/relay/relay.ts";
import { createTestDatabase, type TestDatabase } from "../../setup/database.ts";
import { makeBundle } from "../../setup/make-migration.ts";
import { relayPool } from "../../setup/pool.ts";
import { run } from "../../setup/run.ts";
import { test } from "../../setup/test.ts";

const EXECUTORS = ["drizzle", "statements"] as const;
const example = await compileBundle("drizzle");
const half = Math.floor(example.migrations.length / 2);
const beginning = makeBundle(...example.migrations.slice(0, half));

/** Drizzle's own `migrate()`, as a team calls it, on a folder with these migrations. */
async function byDrizzle(database: TestDatabase, relay: Relay, bundle: Bundle): Promise<void> {
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

async function ledger(database: TestDatabase): Promise<unknown> {
  return await database.sql(
    "select id, hash, created_at::text as when from drizzle.__drizzle_migrations order by id",
  );
}

/** Every column, index, constraint, policy, trigger and function of the database, without the history beside the ledger. */
async function catalog(database: TestDatabase): Promise<unknown> {
  return await database.sql(`
    select * from (select 'column' as kind, table_schema || '.' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') as what
      from information_schema.columns where table_schema in ('public', 'drizzle')
    union all select 'index', indexdef from pg_indexes where schemaname in ('public', 'drizzle')
    union all select 'constraint', conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint where conrelid <> 0 and connamespace in ('public'::regnamespace, 'drizzle'::regnamespace)
    union all select 'policy', tablename || ' ' || policyname || ' ' || coalesce(qual, '') from pg_policies
    union all select 'trigger', pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    union all select 'function', pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
    ) every where what !~ '__drizzle_migrations_history' order by 1, 2
  `);
}

describe.each(EXECUTORS)("a ledger written by %s", (executor) => {
  test("is the one that Drizzle's own migrator writes, and so is the schema", async ({
    database,
    target,
  }) => {
    await run(target, example, { executor });
    const ours = { ledger: await ledger(database), catalog: await catalog(database) };
    const other = await createTestDatabase();
    onTestFinished(() => other.close());
    await byDrizzle(other, await other.startRelay(), example);

    expect(ours).toEqual({ ledger: await ledger(other), catalog: await catalog(other) });
  });

  test("is continued by Drizzle's own migrator without running anything twice", async ({
    database,
    relay,
    target,
  }) => {
    await run(target, beginning, { executor });

    await byDrizzle(database, relay, example);
    await byDrizzle(database, relay, example);

    expect(await ledger(database)).toHaveLength(example.migrations.length);
    expect(await run(target, example)).toMatchObject({ status: "up-to-date" });
  });

  test("continues one that Drizzle's own migrator wrote without running anything twice", async ({
    database,
    relay,
    target,
  }) => {
    await byDrizzle(database, relay, beginning);

    const report = await run(target, example, { executor });

    expect(report.applied.map(({ tag }) => tag)).toEqual(
      example.migrations.slice(half).map(({ tag }) => tag),
    );
    expect(await ledger(database)).toHaveLength(example.migrations.length);
    await byDrizzle(database, relay, example);
    expect(await ledger(database)).toHaveLength(example.migrations.length);
  });
});
