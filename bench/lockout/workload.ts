import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Bundle, statementText } from "../../lib/bundle/bundle.ts";
import { compileTexts } from "../rehearsal/workloads.ts";
import { type Workload, writeCompiled } from "../speed/workload.ts";

/** Migrations of tables that are there before. */
export interface LockoutWorkload extends Workload {
  /** Its first migration alone, which makes what is there before. */
  readonly before: Bundle;
  /** A file with all other statements and their ledger rows, without `begin` and `commit`. */
  readonly script: string;
}

/** The table that the first statement locks, and that the witness reads. */
export const FIRST_TABLE = "old_0";

/** A column of an old table, and a new table with what belongs to it. The old one is locked first: the worst order. */
const ROUND: readonly ((index: number) => string)[] = [
  (index) => `ALTER TABLE "old_${index}" ADD COLUMN "placed_at" timestamp with time zone;`,
  (index) =>
    `CREATE TABLE "new_${index}" ("id" serial PRIMARY KEY NOT NULL, "customer" text NOT NULL, "total" integer DEFAULT 0 NOT NULL);`,
  (index) => `CREATE INDEX "new_${index}_customer" ON "new_${index}" USING btree ("customer");`,
  (index) => `INSERT INTO "new_${index}" ("customer", "total") VALUES ('first', ${index});`,
  (index) =>
    `ALTER TABLE "new_${index}" ADD CONSTRAINT "new_${index}_positive" CHECK ("total" >= 0);`,
];

/** Writes a folder of so many statements, and compiles it. */
export async function writeLockoutWorkload(
  statements: number,
  folder: string,
): Promise<LockoutWorkload> {
  const texts = Array.from(
    { length: statements },
    (_, index) => ROUND[index % ROUND.length]?.(Math.floor(index / ROUND.length)) ?? "",
  );
  const tables = Array.from(
    { length: Math.ceil(statements / ROUND.length) },
    (_, index) => `CREATE TABLE "old_${index}" ("id" serial PRIMARY KEY NOT NULL, "note" text);`,
  );
  const first = [tables.join("\n"), ...ROUND.slice(1).map(() => "SELECT 1;")];
  const bundle = await compileTexts([...first, ...texts], folder, ROUND.length);
  const parts = [
    ...bundle.migrations
      .slice(1)
      .flatMap((migration) => [
        ...migration.statements.map((each) => statementText(migration, each)),
        `insert into "drizzle"."__drizzle_migrations" ("hash", "created_at") values ('${migration.hash}', ${migration.when})`,
      ]),
  ];
  const compiled = join(folder, "bundle");
  await writeCompiled(bundle, compiled);
  const script = join(folder, "script.sql");
  await writeFile(script, `${parts.join(";\n")};\n`);
  return {
    ...{ statements, migrations: bundle.migrations.length, folder, script },
    bundle: compiled,
    oneQuery: ["begin", ...parts, "commit"].join(";\n"),
    before: { ...bundle, migrations: bundle.migrations.slice(0, 1) },
  };
}
