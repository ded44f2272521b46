import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Bundle, STATEMENT_BREAKPOINT } from "../../lib/bundle/bundle.ts";
import { compileBundle } from "../../lib/compile/compile.ts";

/** A sort of migrations. */
export interface Workload {
  readonly name: string;
  /** SQL that makes what is there before; empty where nothing is. */
  readonly before: string;
  readonly bundle: Bundle;
}

/** As real projects have: 100 migrations hold 500 statements. */
const PER_MIGRATION = 5;

const oldTable = (index: number) =>
  `create table old_${index} (id serial primary key, note text, total int)`;

const CREATE = (index: number) =>
  `CREATE TABLE "new_${index}" ("id" serial PRIMARY KEY NOT NULL, "note" text, "total" integer DEFAULT 0 NOT NULL);`;
const ALTER = (index: number) =>
  `ALTER TABLE "old_${index}" ADD COLUMN "placed_at" timestamp with time zone;`;
/** What a project does in a year, table by table. */
const MIX: readonly ((index: number) => string)[] = [
  CREATE,
  ALTER,
  (index) => `CREATE INDEX "old_${index}_total" ON "old_${index}" USING btree ("total");`,
  (index) => `INSERT INTO "old_${index}" ("note", "total") VALUES ('first', ${index});`,
  (index) =>
    `ALTER TABLE "new_${index}" ADD CONSTRAINT "new_${index}_fk" FOREIGN KEY ("total") REFERENCES "old_${index}"("id");`,
];

/** Writes folders of so many statements each, and compiles them. @param scratch an empty folder */
export async function makeWorkloads(
  statements: number,
  scratch: string,
): Promise<readonly Workload[]> {
  const each = (text: (index: number) => string) =>
    Array.from({ length: statements }, (_, index) => text(index));
  const mix = (index: number) =>
    MIX[index % MIX.length]?.(Math.floor(index / MIX.length)) ?? "SELECT 1;";
  const old = each(oldTable).join(";\n");
  const few = Array.from({ length: Math.ceil(statements / MIX.length) }, (_, index) =>
    oldTable(index),
  ).join(";\n");
  const made = [
    { name: "CREATE TABLE", before: "", texts: each(CREATE) },
    { name: "ALTER of old tables", before: old, texts: each(ALTER) },
    { name: "a mix", before: few, texts: each(mix) },
  ];
  const workloads: Workload[] = [];
  for (const [index, { name, before, texts }] of made.entries()) {
    const bundle = await compileTexts(texts, join(scratch, String(index)));
    workloads.push({ name, before, bundle });
  }
  return workloads;
}

/** Writes statements into a folder as drizzle-kit 0.31 does, and compiles it. */
export async function compileTexts(
  texts: readonly string[],
  folder: string,
  perMigration: number = PER_MIGRATION,
): Promise<Bundle> {
  const entries = Array.from({ length: Math.ceil(texts.length / perMigration) }, (_, idx) => ({
    ...{ idx, version: "7", when: Date.UTC(2026, 0, 1) + idx * 60_000 },
    ...{ tag: `${String(idx).padStart(4, "0")}_step`, breakpoints: true },
  }));
  await mkdir(join(folder, "meta"), { recursive: true });
  const journal = { version: "7", dialect: "postgresql", entries };
  await writeFile(join(folder, "meta", "_journal.json"), JSON.stringify(journal));
  for (const { idx, tag } of entries) {
    const own = texts.slice(idx * perMigration, (idx + 1) * perMigration);
    await writeFile(join(folder, `${tag}.sql`), own.join(`${STATEMENT_BREAKPOINT}\n`));
  }
  return await compileBundle(folder);
}
