import type { Bundle } from "../bundle/bundle.ts";
import { MigratorError } from "../errors.ts";

/** What a first attempt has shown about the statements of this bundle that their texts do not say. */
export interface Lessons {
  /** Statements that the server would not run in a transaction, as `tag` and index. */
  readonly standAlone: readonly { readonly tag: string; readonly index: number }[];
  /** Whether a new enum value was used by a statement whose text does not name it. */
  readonly commitEveryEnumValue: boolean;
}

/** Nothing was tried yet. */
export const NO_LESSONS: Lessons = { standAlone: [], commitEveryEnumValue: false };

/** What PostgreSQL says of a statement that cannot run where it was put, but may elsewhere. */
const MUST_STAND_ALONE = ["25001", "2D000"];
const UNSAFE_ENUM_VALUE = "55P04";

/**
 * What a failure teaches about the statements beyond their texts: a REINDEX of a partitioned table, a
 * procedure that commits, a new enum value that no text names.
 * @returns null where it teaches nothing new
 */
export function learnFrom(bundle: Bundle, failure: unknown, lessons: Lessons): Lessons | null {
  if (!(failure instanceof MigratorError) || failure.code !== "MIGRATION_FAILED") return null;
  const { sqlstate = "", migration: tag = "", statement } = failure.facts;
  if (sqlstate === UNSAFE_ENUM_VALUE) {
    return lessons.commitEveryEnumValue ? null : { ...lessons, commitEveryEnumValue: true };
  }
  if (!MUST_STAND_ALONE.includes(sqlstate) || statement === undefined) return null;
  const index = statement.index - 1;
  const known = lessons.standAlone.some((each) => each.tag === tag && each.index === index);
  const migration = bundle.migrations.find((each) => each.tag === tag);
  // SET TRANSACTION raises the same code, and means nothing outside a transaction.
  if (known || migration?.statements[index]?.kind === "VariableSetStmt") return null;
  return { ...lessons, standAlone: [...lessons.standAlone, { tag, index }] };
}
