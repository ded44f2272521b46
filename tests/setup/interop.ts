import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pool } from "@neondatabase/serverless";
import { drizzle } from "drizzle-orm/neon-serverless";
import { migrate } from "drizzle-orm/neon-serverless/migrator";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { compileBundle } from "../../lib/compile/compile.ts";
import type { Report } from "../../lib/report/report.ts";
import type { Target } from "../../lib/target/target.ts";
import { migrateByDrizzle1 } from "../drizzle-1/drizzle.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { type WrittenMigration, writeJournaledFolder, writeNamedFolder } from "./folders.ts";
import { relayPool } from "./pool.ts";
import { run, targetOf } from "./run.ts";

/** One of Drizzle's two release lines, with the layout of its folders. */
export interface Line {
  readonly layout: "0.x" | "1.0";
  readonly version: string;
  readonly write: (folder: string, migrations: readonly WrittenMigration[]) => void;
  readonly migrate: (pool: Pool, migrationsFolder: string) => Promise<void>;
}

export const drizzle0: Line = {
  layout: "0.x",
  version: "0.45.4",
  write: writeJournaledFolder,
  migrate: (pool, migrationsFolder) => migrate(drizzle(pool), { migrationsFolder }),
};

export const drizzle1: Line = {
  layout: "1.0",
  version: "1.0.0-rc.5",
  write: writeNamedFolder,
  migrate: migrateByDrizzle1,
};

/** A database on which Drizzle's migrators and ours take turns. It is empty at the start of each test. */
export class Interop {
  #scratch = "";
  #database: TestDatabase | null = null;
  #relay = "";
  #target: Target | null = null;

  get database(): TestDatabase {
    if (this.#database === null) throw new Error("There is a database within a test only.");
    return this.#database;
  }

  async open(): Promise<void> {
    this.#scratch = mkdtempSync(join(tmpdir(), "interop-"));
    this.#database = await createTestDatabase();
    this.#relay = (await this.database.startRelay()).address;
    this.#target = targetOf(this.database.url, this.#relay);
  }

  async close(): Promise<void> {
    await this.database.close();
    rmSync(this.#scratch, { recursive: true });
  }

  async empty(): Promise<void> {
    // Before PostgreSQL 15 the schema `public` is the owner's too.
    await this.database.sqlAsOwner(
      "drop owned by current_user cascade; create schema if not exists public",
    );
  }

  newFolder(): string {
    return mkdtempSync(join(this.#scratch, "folder-"));
  }

  folderOf({ write }: Line, migrations: readonly WrittenMigration[]): string {
    const folder = this.newFolder();
    write(folder, migrations);
    return folder;
  }

  async byUs(folder: string, request: object = {}): Promise<Report> {
    if (this.#target === null) throw new Error("There is a database within a test only.");
    return await run(this.#target, await compileBundle(folder), request);
  }

  /** Runs Drizzle's own `migrate()`, as a team calls it. */
  async byDrizzle(line: Line, folder: string): Promise<void> {
    const pool = relayPool(this.database.url, this.#relay);
    try {
      await line.migrate(pool, folder);
    } finally {
      await pool.end();
    }
  }

  async ledger(): Promise<readonly Record<string, unknown>[]> {
    return await this.database.sql(
      "select l.*, l.created_at::float8 as created_at from drizzle.__drizzle_migrations l order by id",
    );
  }

  /** Returns the definition of the ledger's table in PostgreSQL's catalog, without its rows. */
  async ledgerTable(): Promise<unknown> {
    return await this.database.sql(`
      select a.attnum, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull,
        a.attidentity, a.attcollation, pg_get_expr(d.adbin, d.adrelid) as default,
        pg_get_serial_sequence('drizzle.__drizzle_migrations', a.attname) as sequence,
        (select jsonb_agg(pg_get_indexdef(i.indexrelid)) from pg_index i where i.indrelid = a.attrelid) as indexes,
        (select jsonb_agg(conname || ' ' || pg_get_constraintdef(c.oid) order by conname)
           from pg_constraint c where c.conrelid = a.attrelid) as constraints
      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = 'drizzle.__drizzle_migrations'::regclass and a.attnum > 0 order by 1`);
  }
}

/** Prepares the database of a test file. */
export function useInterop(): Interop {
  const interop = new Interop();
  beforeAll(() => interop.open());
  beforeEach(() => interop.empty());
  afterAll(() => interop.close());
  return interop;
}
