/*
 * Compiling, at build time only. A Drizzle folder of SQL files comes in. A checked bundle goes out, or an error that
 * names file, line and column. Nothing here connects to a database or runs a migration, and the deployed function
 * loads none of it.
 */

import { createHash } from "node:crypto";
import { type Bundle, type Layout, type Migration, migrationName } from "../bundle/bundle.ts";
import { bundleHash, contentHash } from "../bundle/hash.ts";
import { toError, type Warning } from "../errors.ts";
import { readsTree, startCheck, type Unchecked } from "./check/check.ts";
import { type MigrationFile, readFolder } from "./folder.ts";
import { sameInThePast } from "./git-history.ts";
import { conflictWarning, refuseWhatIsNotSql } from "./not-sql.ts";
import { directiveError, sqlError } from "./problem.ts";
import { NewValues } from "./sql/new-values.ts";
import { loadParser, type Tree } from "./sql/parser.ts";
import { cutStatements } from "./statements.ts";
import { refuseTwoPhaseCommit } from "./two-phase.ts";

/**
 * Turns a Drizzle folder of either layout into a bundle, and refuses a broken one before anything connects.
 * Order, hashes and chunks are those of Drizzle's `readMigrationFiles` (drizzle-orm 0.45 and 1.0.0-rc.5).
 * @param folder the folder that drizzle-kit generates into
 * @throws MigratorError with one of the folder's codes, or with `SQL_INVALID`, `PSQL_ONLY`, `MERGE_CONFLICT`,
 *   `TWO_PHASE_COMMIT`, `DIRECTIVE_INVALID` or `PULL_BASELINE`
 */
export async function compileBundle(folder: string): Promise<Bundle> {
  const { layout, files, warnings } = await readFolder(folder);
  await loadParser();
  const { compiled, failure } = compileFiles(files, layout);
  const migrations = await withPast(folder, files, compiled);
  return {
    bundleVersion: 1,
    layout,
    hash: bundleHash(migrations),
    contentHash: contentHash(migrations),
    migrations,
    warnings: [...warnings, ...files.flatMap(conflictWarning), ...failure],
  };
}

async function withPast(
  folder: string,
  files: readonly MigrationFile[],
  compiled: readonly Migration[],
): Promise<readonly Migration[]> {
  const paths = files.map(({ path }) => path);
  const withFiles = compiled.map((migration, index) => ({ migration, path: paths[index] ?? "" }));
  const past = await sameInThePast(folder, withFiles);
  return compiled.map((migration, index) => {
    const sameAs = past[index] ?? [];
    return sameAs.length === 0 ? migration : { ...migration, sameAs };
  });
}

interface Compiled {
  readonly compiled: readonly Migration[];
  /** Empty when `check` could hold every migration to the rules. */
  readonly failure: readonly Warning[];
}

/**
 * Cuts and checks one migration after the other. Each is checked while its parse trees are at hand: the trees of all
 * migrations would take too much memory, and making each tree twice would take too much time.
 */
function compileFiles(files: readonly MigrationFile[], layout: Layout): Compiled {
  const check = startCheck();
  const newValues = new NewValues();
  let failed: Error | null = null;
  const checked = files.map((file) => {
    const trees = new Map<number, Tree>();
    const migration = compileMigration(file, layout, trees);
    if (failed !== null) return { ...migration, findings: [] };
    // A rule that breaks must not stop a deployment.
    try {
      const marked = { ...migration, statements: newValues.mark(migration, trees) };
      return { ...marked, findings: check(marked, trees) };
    } catch (thrown) {
      failed = toError(thrown);
      return { ...migration, findings: [] };
    }
  });
  if (failed === null) return { compiled: checked, failure: [] };
  return {
    compiled: checked.map((each) => ({ ...each, findings: [] })),
    failure: [checkFailed(failed)],
  };
}

function checkFailed({ message }: Error): Warning {
  return {
    code: "CHECK_FAILED",
    message: `The rules of "check" could not be held against this folder, so that nothing is known of its dangers: ${message}.`,
  };
}

function compileMigration(
  file: MigrationFile,
  layout: Layout,
  trees: Map<number, Tree>,
): Unchecked {
  const { tag, when, sql } = file;
  const cut = cutStatements(sql, (index, kind, tree) => {
    if (tree !== null && readsTree(kind)) trees.set(index, tree);
  });
  if (!cut.ok && cut.code === "DIRECTIVE_INVALID") throw directiveError(file, cut.problem);
  refuseWhatIsNotSql(file, cut);
  if (!cut.ok) throw sqlError(file, cut.problem);
  refuseTwoPhaseCommit(file, cut.statements);
  const hash = createHash("sha256").update(sql).digest("hex");
  const name = migrationName(layout, tag, when);
  const { ok: _ok, ...content } = cut;
  return { tag, name, when, hash, sql, ...content };
}
