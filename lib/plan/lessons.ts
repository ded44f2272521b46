import type { Bundle } from "../bundle/bundle.ts";
import { MigratorError } from "../errors.ts";

/** Facts about the statements of this bundle that an attempt has shown and that their texts do not say. */
export interface Lessons {
  /** Statements that the server refused to run in a transaction. */
  readonly standAlone: readonly { readonly tag: string; readonly index: number }[];
  /** Whether a statement used a new enum value that its text does not name. */
  readonly commitEveryEnumValue: boolean;
}

/** The lessons before the first attempt. */
export const NO_LESSONS: Lessons = { standAlone: [], commitEveryEnumValue: false };

/** SQLSTATEs of a statement that cannot run in its place, but may run in another one. */
const MUST_STAND_ALONE = ["25001", "2D000"];
const UNSAFE_ENUM_VALUE = "55P04";

/**
 * Learns from a failure what the texts of the statements do not say: a REINDEX of a partitioned table, a procedure
 * that commits, a new enum value that no text names.
 * @returns null when the failure teaches nothing new
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
