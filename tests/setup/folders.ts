import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One migration of a folder. */
export interface WrittenMigration {
  /** The file's name in the 0.x layout; the folder's name in the 1.0 layout. */
  readonly tag: string;
  /** The time in the journal; not used in the 1.0 layout. */
  readonly when: number;
  readonly sql: string;
}

/** Writes a folder as drizzle-kit 0.x does, without snapshots. */
export function writeJournaledFolder(
  folder: string,
  migrations: readonly WrittenMigration[],
): void {
  mkdirSync(join(folder, "meta"), { recursive: true });
  const entries = migrations.map(({ tag, when }, idx) => ({ idx, tag, when, breakpoints: true }));
  const journal = { version: "7", dialect: "postgresql", entries };
  writeFileSync(join(folder, "meta", "_journal.json"), JSON.stringify(journal));
  for (const { tag, sql } of migrations) writeFileSync(join(folder, `${tag}.sql`), sql);
}

/** Writes a folder as drizzle-kit 1.0 does, without snapshots. */
export function writeNamedFolder(folder: string, migrations: readonly WrittenMigration[]): void {
  for (const { tag, sql } of migrations) {
    mkdirSync(join(folder, tag), { recursive: true });
    writeFileSync(join(folder, tag, "migration.sql"), sql);
  }
}

/** Copies the first `count` migrations that drizzle-kit 0.31 generated for the example. */
export function copyExample(folder: string, count: number): void {
  cpSync("drizzle", folder, { recursive: true });
  editJournal(folder, (entries) => {
    for (const { tag } of entries.slice(count)) rmSync(join(folder, `${tag}.sql`));
    return entries.slice(0, count);
  });
}

/** Dates every entry at least a second after the one before, as `drizzle-kit up` demands. */
export function raiseTimes(folder: string): void {
  let last = 0;
  editJournal(folder, (entries) =>
    entries.map((entry) => {
      const isLater = Math.floor(entry.when / 1_000) > Math.floor(last / 1_000);
      last = isLater ? entry.when : last + 1_000;
      return { ...entry, when: last };
    }),
  );
}

interface Entry {
  readonly tag: string;
  readonly when: number;
}

function editJournal(folder: string, edit: (entries: readonly Entry[]) => readonly Entry[]): void {
  const path = join(folder, "meta", "_journal.json");
  const journal = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...journal, entries: edit(journal.entries) }));
}

/** Dates the entries of a journal. */
export function setTimes(folder: string, times: readonly number[]): void {
  editJournal(folder, (entries) =>
    entries.map((entry, index) => ({ ...entry, when: times[index] ?? entry.when })),
  );
}
