/*
 * Compiling, at build time only. A Drizzle folder of SQL files comes in. A checked bundle goes out, or an error that
 * names file, line and column. Nothing here connects to a database or runs a migration, and the deployed function
 * loads none of it.
 */

import type { Bundle } from "../bundle/bundle.ts";
import { bundleHash, contentHash } from "../bundle/hash.ts";
import type { Warning } from "../errors.ts";
import { type Folder, readFolder } from "./folder.ts";
import { historyState } from "./git.ts";
import { type Kept, keep, type Place, placeFor, readKept } from "./kept-bundle.ts";
import { conflictWarning } from "./not-sql.ts";

/** What came of the files. */
interface Made extends Kept {
  /** Default: `check` could hold every migration to the rules. */
  readonly failure?: readonly Warning[];
}

/** The settings of a compilation. */
export interface CompileOptions {
  /**
   * The folder in which bundles are kept. Migrations that have not changed since then are not compiled again. Default: none,
   * and everything is compiled.
   */
  readonly cache?: string | null;
}

/**
 * Turns a Drizzle folder of either layout into a bundle, and refuses a broken one before anything connects.
 * Order, hashes and chunks are those of Drizzle's `readMigrationFiles` (drizzle-orm 0.45 and 1.0.0-rc.5).
 * @param folder the folder that drizzle-kit generates into
 * @throws MigratorError with one of the folder's codes, or with `SQL_INVALID`, `PSQL_ONLY`, `MERGE_CONFLICT`,
 *   `TWO_PHASE_COMMIT`, `DIRECTIVE_INVALID` or `PULL_BASELINE`
 */
export async function compileBundle(
  folder: string,
  { cache = null }: CompileOptions = {},
): Promise<Bundle> {
  // Git takes its time while the files are read.
  const asked = cache === null ? null : historyState(folder);
  const { layout, files, warnings } = await readFolder(folder);
  const history = await asked;
  const place = cache === null ? null : placeFor(cache, folder, { layout, files, history });
  const known = place === null ? null : readKept(place, { layout, files });
  const { failure = [], ...made }: Made =
    known ?? (await compileAnew(folder, { layout, files }, history, place));
  const all = [...warnings, ...files.flatMap(conflictWarning), ...failure];
  return { bundleVersion: 1, layout, ...made, warnings: all };
}

/** Compiles the files, and keeps the bundle at the place where nothing of it is in doubt. */
async function compileAnew(
  folder: string,
  { layout, files }: Pick<Folder, "layout" | "files">,
  history: string | null,
  place: Place | null,
): Promise<Made> {
  // Loaded on demand: parser and rules take longer than all else that a known folder needs.
  const { compileFiles } = await import("./compile-files.ts");
  const { migrations, failure, pastIsKnown } = await compileFiles(folder, files, layout);
  const made = { hash: bundleHash(migrations), contentHash: contentHash(migrations), migrations };
  const isWhole = failure.length === 0 && pastIsKnown === (history !== null);
  // A commit in between may be in the history that was read, and the key has the one before.
  if (place !== null && isWhole && history === (await historyState(folder))) keep(place, made);
  return { ...made, failure };
}
