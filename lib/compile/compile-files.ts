import { type Layout, type Migration, migrationName } from "../bundle/bundle.ts";
import { toError, type Warning } from "../errors.ts";
import { readsTree, startCheck, type Unchecked } from "./check/check.ts";
import type { MigrationFile } from "./folder.ts";
import { sameInThePast } from "./git-history.ts";
import { refuseWhatIsNotSql } from "./not-sql.ts";
import { directiveError, sqlError } from "./problem.ts";
import { NewValues } from "./sql/new-values.ts";
import { loadParser, type Tree } from "./sql/parser.ts";
import { cutStatements } from "./statements.ts";
import { refuseTwoPhaseCommit } from "./two-phase.ts";

/** The files of a folder, cut and checked. */
export interface CompiledFiles {
  readonly migrations: readonly Migration[];
  /** Empty when `check` could hold every migration to the rules. */
  readonly failure: readonly Warning[];
  /** Whether git told the earlier versions of the files. False outside a repository, and where git took too long. */
  readonly pastIsKnown: boolean;
}

/**
 * Compiles the files of a folder. Apart from the parser, everything that is needed for it is loaded with this file.
 * @throws MigratorError as `compileBundle`, for what is in the files
 */
export async function compileFiles(
  folder: string,
  files: readonly MigrationFile[],
  layout: Layout,
): Promise<CompiledFiles> {
  await loadParser();
  const { compiled, failure } = cutAndCheck(files, layout);
  const paths = files.map(({ path }) => path);
  const withFiles = compiled.map((migration, index) => ({ migration, path: paths[index] ?? "" }));
  const past = await sameInThePast(folder, withFiles);
  const migrations = compiled.map((migration, index) => {
    const sameAs = past?.[index] ?? [];
    return sameAs.length === 0 ? migration : { ...migration, sameAs };
  });
  return { migrations, failure, pastIsKnown: past !== null };
}

interface Compiled {
  readonly compiled: readonly Migration[];
  readonly failure: readonly Warning[];
}

/** Matches every text that adds a value to an enum, and others. Most folders have none, and need no search for its uses. */
const MAY_ADD_VALUE = /\bvalue\b/i;

/**
 * Cuts and checks one migration after the other. Each is checked while its parse trees are at hand: the trees of all
 * migrations would take too much memory, and making each tree twice would take too much time.
 */
function cutAndCheck(files: readonly MigrationFile[], layout: Layout): Compiled {
  const check = startCheck();
  const newValues = files.some(({ sql }) => MAY_ADD_VALUE.test(sql)) ? new NewValues() : null;
  let failed: Error | null = null;
  const checked = files.map((file) => {
    const trees = new Map<number, Tree>();
    const migration = compileMigration(file, layout, trees);
    if (failed !== null) return { ...migration, findings: [] };
    // A rule that breaks must not stop a deployment.
    try {
      const statements = newValues?.mark(migration, trees) ?? migration.statements;
      const marked = { ...migration, statements };
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
  const { tag, when, hash, sql } = file;
  const cut = cutStatements(sql, (index, kind, tree) => {
    if (tree !== null && readsTree(kind)) trees.set(index, tree);
  });
  if (!cut.ok && cut.code === "DIRECTIVE_INVALID") throw directiveError(file, cut.problem);
  refuseWhatIsNotSql(file, cut);
  if (!cut.ok) throw sqlError(file, cut.problem);
  refuseTwoPhaseCommit(file, cut.statements);
  const name = migrationName(layout, tag, when);
  const { ok: _ok, ...content } = cut;
  return { tag, name, when, hash, sql, ...content };
}
