import { createHash } from "node:crypto";
import {
  type Bundle,
  bundleHash,
  type Layout,
  type Migration,
  migrationName,
  type Warning,
} from "../bundle.ts";
import { checkMigrations, type Unchecked } from "../check/check.ts";
import { type MigratorError, toError } from "../errors.ts";
import { type MigrationFile, readFolder } from "./folder.ts";
import { loadParser } from "./parser.ts";
import { sameInThePast } from "./past.ts";
import { directiveError, sqlError } from "./sql-problem.ts";
import { type Cut, cutStatements } from "./statements.ts";

/**
 * Turns a Drizzle folder of either layout into a bundle, and refuses a broken one before anything connects.
 * Order, hashes and chunks are those of Drizzle's `readMigrationFiles` (drizzle-orm 0.45 and 1.0.0-rc.5).
 * @param folder the folder that drizzle-kit generates into
 * @throws MigratorError with one of the folder's codes, or with `SQL_INVALID`, `DIRECTIVE_INVALID` or `PULL_BASELINE`
 */
export async function compileBundle(folder: string): Promise<Bundle> {
  const { layout, files, warnings } = await readFolder(folder);
  await loadParser();
  const compiled = files.map((file) => compileMigration(file, layout));
  const unchecked = await withPast(folder, files, compiled);
  const { migrations, failure } = withFindings(unchecked);
  return {
    bundleVersion: 1,
    layout,
    hash: bundleHash(migrations),
    migrations,
    warnings: [...warnings, ...failure],
  };
}

async function withPast(
  folder: string,
  files: readonly MigrationFile[],
  compiled: readonly Unchecked[],
): Promise<readonly Unchecked[]> {
  const paths = files.map(({ path }) => path);
  const withFiles = compiled.map((migration, index) => ({ migration, path: paths[index] ?? "" }));
  const past = await sameInThePast(folder, withFiles);
  return compiled.map((migration, index) => {
    const sameAs = past[index] ?? [];
    return sameAs.length === 0 ? migration : { ...migration, sameAs };
  });
}

interface CheckedMigrations {
  readonly migrations: readonly Migration[];
  /** Empty when the rules could be held against all of them. */
  readonly failure: readonly Warning[];
}

/** A rule that breaks must not stop a deployment. */
function withFindings(unchecked: readonly Unchecked[]): CheckedMigrations {
  try {
    const found = checkMigrations(unchecked);
    const migrations = unchecked.map((each, index) => ({ ...each, findings: found[index] ?? [] }));
    return { migrations, failure: [] };
  } catch (thrown) {
    const message = `The rules of "check" could not be held against this folder, so that nothing is known of its dangers: ${toError(thrown).message}.`;
    const migrations = unchecked.map((each) => ({ ...each, findings: [] }));
    return { migrations, failure: [{ code: "CHECK_FAILED", message }] };
  }
}

function compileMigration(file: MigrationFile, layout: Layout): Unchecked {
  const { tag, when, sql } = file;
  const cut = cutStatements(sql);
  if (!cut.ok) throw cutError(file, cut);
  const hash = createHash("sha256").update(sql).digest("hex");
  const name = migrationName(layout, tag, when);
  const { ok: _ok, ...content } = cut;
  return { tag, name, when, hash, sql, ...content };
}

function cutError(file: MigrationFile, cut: Cut & { readonly ok: false }): MigratorError {
  return cut.code === "SQL_INVALID"
    ? sqlError(file, cut.problem)
    : directiveError(file, cut.problem);
}
