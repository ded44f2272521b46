import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SmokeSettings } from "../../infra/smoke/settings.ts";
import { quoteIdentifier } from "../../lib/postgres/names.ts";

/** The names of what one run makes. */
export interface Names {
  readonly id: string;
  readonly stack: string;
  readonly schema: string;
}

/** Matches the id of a run: nothing else is ever deleted. */
export const RUN_ID: RegExp = /^[0-9a-f]{8}$/;

/** Makes the names for the id of a run. */
export function namesFor(id: string): Names {
  return { id, stack: `NeonMigrateSmoke-${id}`, schema: `neon_migrate_smoke_${id}` };
}

/** The files of one run, below a temporary folder. */
export interface Scratch {
  readonly folder: string;
  readonly migrations: string;
  /** The file of the app's settings. */
  readonly settings: string;
  /** Adds the migration that fails. */
  addFailing(): void;
  remove(): void;
}

/** Writes the files of a run, with the migrations that succeed. */
export function makeScratch(settings: Omit<SmokeSettings, "folder">): Scratch {
  const folder = mkdtempSync(join(tmpdir(), "neon-migrate-smoke-"));
  const migrations = join(folder, "drizzle");
  const file = join(folder, "settings.json");
  const app: SmokeSettings = { ...settings, folder: migrations };
  writeFileSync(file, JSON.stringify(app));
  const texts = Object.entries(migrationsIn(settings.schema));
  write(migrations, texts.slice(0, -1));
  return {
    ...{ folder, migrations, settings: file },
    addFailing: () => write(migrations, texts),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The tables that the first two migrations make. */
export const TABLES: readonly string[] = ["places", "visits"];

const BREAK = "--> statement-breakpoint";

/** Returns the migrations by their tags. The last one fails behind a statement that succeeds. */
function migrationsIn(schema: string): Readonly<Record<string, string>> {
  const s = quoteIdentifier(schema);
  return {
    "0000_places": `create table ${s}.places (id integer primary key, name text not null);\n`,
    "0001_visits": `create table ${s}.visits (id integer primary key, place integer not null references ${s}.places);
${BREAK}
insert into ${s}.places (id, name) values (1, 'here');
`,
    "0002_fails_on_purpose": `create table ${s}.rolled_back (id integer primary key);
${BREAK}
alter table ${s}.missing_on_purpose add column name text;
`,
  };
}

/** The time of the first migration in the journal, in epoch milliseconds. */
const FIRST_WHEN = 1_700_000_000_000;

/** Writes a folder as drizzle-kit 0.x does, without snapshots. */
function write(folder: string, migrations: readonly (readonly [string, string])[]): void {
  mkdirSync(join(folder, "meta"), { recursive: true });
  for (const [tag, sql] of migrations) writeFileSync(join(folder, `${tag}.sql`), sql);
  const entries = migrations.map(([tag], idx) => {
    return { idx, version: "7", when: FIRST_WHEN + idx * 60_000, tag, breakpoints: true };
  });
  const journal = { version: "7", dialect: "postgresql", entries };
  writeFileSync(join(folder, "meta/_journal.json"), JSON.stringify(journal));
}
