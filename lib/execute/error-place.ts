import { type Migration, type Statement, statementText } from "../bundle/bundle.ts";
import { type Position, positionAt, unitsAt } from "../bundle/text-position.ts";
import { MigratorError, type StatementPlace } from "../errors.ts";

/*
 * The place of an error in a migration. Every start loads this file; the other errors are in `statement-errors.ts`.
 */

const MAX_EXCERPT = 500;

/**
 * Adds to an error the place where it came.
 * @param others words that the place gets when it may have been another statement
 */
export function interruptedAt(
  error: MigratorError,
  migration: Migration,
  index: number,
  { how = "It happened", others = "" }: { readonly how?: string; readonly others?: string },
): MigratorError {
  if (error.facts.statement !== undefined) return error;
  const place = placeOf(migration, index, null);
  const where =
    place === undefined
      ? "behind its last statement"
      : `statement ${place.index} (line ${place.line})${others}`;
  return new MigratorError(
    error.code,
    `${error.message} ${how} in migration ${migration.tag}, ${where}.`,
    {
      ...error.facts,
      migration: migration.tag,
      ...(place === undefined ? {} : { statement: place }),
    },
  );
}

/**
 * Returns the place of a statement, for the facts of an error; undefined where the migration has no such statement.
 * @param position of the error within the statement, in code points from 1; null for the statement's own
 */
export function placeOf(
  migration: Migration,
  index: number,
  position: number | null,
): StatementPlace | undefined {
  const statement = migration.statements[index];
  if (statement === undefined) return undefined;
  const exact = position === null ? statement : placeInside(migration, statement, position);
  return {
    index: index + 1,
    line: exact.line,
    column: exact.column,
    excerpt: excerptOf(migration, statement),
  };
}

/** @param position in code points, from 1, as the server counts */
function placeInside({ sql }: Migration, statement: Statement, position: number): Position {
  const text = sql.slice(statement.start);
  return positionAt(text, unitsAt(text, "codePoints")(position - 1), statement);
}

function excerptOf(migration: Migration, statement: Statement): string {
  const text = statementText(migration, statement);
  return text.length > MAX_EXCERPT ? `${text.slice(0, MAX_EXCERPT - 1)}…` : text;
}
