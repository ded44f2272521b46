import type { Bundle } from "../bundle/bundle.ts";
import { type Separation, type Step, slicesOf } from "../bundle/steps.ts";
import { MigratorError } from "../errors.ts";

/** Facts about the statements of this bundle that an attempt has shown and that their texts do not say. */
export interface Lessons {
  /** Statements that the server refused to run in a transaction. */
  readonly standAlone: readonly { readonly tag: string; readonly index: number }[];
  /** Places where the transaction must end, for the server refused a statement behind them. */
  readonly cuts: readonly LearnedCut[];
}

interface LearnedCut {
  readonly tag: string;
  /** Index of the first statement behind the cut. */
  readonly at: number;
  /** Index of the statement that the server refused. */
  readonly index: number;
  readonly reason: Separation;
}

/** The lessons before the first attempt. */
export const NO_LESSONS: Lessons = { standAlone: [], cuts: [] };

/** SQLSTATEs of a statement that cannot run in its place, but may run in another one. */
const MUST_STAND_ALONE = ["25001", "2D000"];

/** SQLSTATEs of a statement that may pass once the statements before it are committed. */
const MUST_BE_CUT: Readonly<Record<string, Separation>> = {
  "55P04": "new-enum-value",
  "55006": "pending-trigger-events",
};

/**
 * Learns from a failure what the texts of the statements do not say: a REINDEX of a partitioned table, a procedure
 * that commits, a new enum value that no text names, deferred constraints that wait for their COMMIT.
 * @param steps those of the plan that failed
 * @returns null when the failure teaches nothing new
 */
export function learnFrom(
  bundle: Bundle,
  failure: unknown,
  lessons: Lessons,
  steps: readonly Step[],
): Lessons | null {
  if (!(failure instanceof MigratorError) || failure.code !== "MIGRATION_FAILED") return null;
  const { sqlstate = "", migration: tag = "", statement } = failure.facts;
  const migration = bundle.migrations.find((each) => each.tag === tag);
  if (statement === undefined || migration === undefined) return null;
  const index = statement.index - 1;
  const kind = migration.statements[index]?.kind ?? "";
  const reason = MUST_BE_CUT[sqlstate];
  if (reason === "pending-trigger-events" && !waitsForTriggers(kind, failure)) return null;
  if (reason !== undefined) {
    const at = placeOfCut(steps, tag, index);
    if (at === null) return null;
    return { ...lessons, cuts: [...lessons.cuts, { tag, at, index, reason }] };
  }
  const known = lessons.standAlone.some((each) => each.tag === tag && each.index === index);
  // SET TRANSACTION raises the same code, and means nothing outside a transaction.
  if (!MUST_STAND_ALONE.includes(sqlstate) || known || kind === "VariableSetStmt") return null;
  return { ...lessons, standAlone: [...lessons.standAlone, { tag, index }] };
}

/**
 * Returns the place of a cut before a statement: the head of its migration, as long as another one stands before that in
 * the transaction. Null where the statement was the first of its transaction: then a cut changes nothing.
 */
function placeOfCut(steps: readonly Step[], tag: string, index: number): number | null {
  for (const step of steps) {
    const position = slicesOf(step).findIndex(
      ({ migration, statements }) => migration.tag === tag && statements.includes(index),
    );
    if (position < 0) continue;
    const first = slicesOf(step)[position]?.statements[0] ?? index;
    if (step.kind === "alone") return null;
    return position > 0 ? first : first < index ? index : null;
  }
  return null;
}

/** Kinds of statements that may themselves use the table that they want to alter: a cut would not help these. */
const PROGRAMS = ["DoStmt", "SelectStmt", "CallStmt"];

/**
 * Whether a statement was refused because triggers wait for the COMMIT. For a statement by itself no other reason is
 * left. Of a program the code tells too little; its message is in English, or the run fails as it would without us.
 */
function waitsForTriggers(kind: string, { message }: MigratorError): boolean {
  return !PROGRAMS.includes(kind) || message.includes("pending trigger events");
}
