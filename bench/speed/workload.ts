import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Bundle, STATEMENT_BREAKPOINT } from "../../lib/bundle/bundle.ts";
import { bundleFiles, bytesOf, writeBundle } from "../../lib/compile/asset-bundle.ts";
import { compileBundle } from "../../lib/compile/compile.ts";

/** Ordinary migrations, as a folder for Drizzle and as a compiled bundle for us. */
export interface Workload {
  readonly statements: number;
  readonly migrations: number;
  readonly folder: string;
  /** The folder of the compiled bundle, as in an asset. */
  readonly bundle: string;
  /** All statements as one simple query in one transaction, with Drizzle's ledger and its rows. */
  readonly oneQuery: string;
}

/** As real projects have: 100 migrations hold 500 statements. */
const STATEMENTS_PER_MIGRATION = 5;

const FIRST_WHEN = Date.UTC(2026, 0, 1);

/** Writes a folder of so many statements, and compiles it. */
export async function writeWorkload(statements: number, folder: string): Promise<Workload> {
  const migrations = await writeFolder(statements, folder);
  const bundle = await compileBundle(folder);
  const compiled = join(folder, "bundle");
  await writeCompiled(bundle, compiled);
  return {
    statements,
    migrations,
    folder,
    bundle: compiled,
    oneQuery: [
      "begin",
      `create schema if not exists "drizzle"`,
      `create table if not exists "drizzle"."__drizzle_migrations" (id serial primary key, hash text not null, created_at bigint)`,
      ...bundle.migrations.flatMap(({ sql, statements: parts, hash, when }) => [
        ...parts.map(({ start, end }) => sql.slice(start, end)),
        `insert into "drizzle"."__drizzle_migrations" ("hash", "created_at") values ('${hash}', ${when})`,
      ]),
      "commit",
    ].join(";\n"),
  };
}

/** Writes the files of a bundle into a folder. Returns their size in bytes. */
export async function writeCompiled(bundle: Bundle, folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const files = bundleFiles(bundle);
  await writeBundle(files, folder);
  return files.reduce((sum, { content }) => sum + bytesOf(content), 0);
}

/** Writes a folder as drizzle-kit 0.31 does. Returns how many migrations it has. */
export async function writeFolder(
  statements: number,
  folder: string,
  perMigration: number = STATEMENTS_PER_MIGRATION,
): Promise<number> {
  const count = Math.ceil(statements / perMigration);
  const entries = Array.from({ length: count }, (_, idx) => ({
    idx,
    version: "7",
    when: FIRST_WHEN + idx * 60_000,
    tag: `${String(idx).padStart(4, "0")}_step`,
    breakpoints: true,
  }));
  await mkdir(join(folder, "meta"), { recursive: true });
  const journal = { version: "7", dialect: "postgresql", entries };
  await writeFile(join(folder, "meta", "_journal.json"), JSON.stringify(journal));
  for (const { idx, tag } of entries) {
    const left = Math.min(statements - idx * perMigration, perMigration);
    const chunks = [...statementsOf(2 * idx), ...statementsOf(2 * idx + 1)].slice(0, left);
    await writeFile(join(folder, `${tag}.sql`), chunks.join(`${STATEMENT_BREAKPOINT}\n`));
  }
  return count;
}

function statementsOf(index: number): readonly string[] {
  const table = `"orders_${index}"`;
  return [
    `CREATE TABLE ${table} (\n\t"id" serial PRIMARY KEY NOT NULL,\n\t"customer" text NOT NULL,\n\t"total" integer DEFAULT 0 NOT NULL\n);\n`,
    `ALTER TABLE ${table} ADD COLUMN "placed_at" timestamp with time zone DEFAULT now() NOT NULL;`,
    `CREATE INDEX "orders_${index}_customer" ON ${table} USING btree ("customer");`,
    `INSERT INTO ${table} ("customer", "total") VALUES ('first', ${index});`,
    `ALTER TABLE ${table} ADD CONSTRAINT "orders_${index}_positive" CHECK ("total" >= 0);`,
  ];
}
