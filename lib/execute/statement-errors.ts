import { type Migration, type Statement, statementText } from "../bundle/bundle.ts";
import { type Position, positionAt, unitsAt } from "../bundle/text-position.ts";
import { MigratorError, type StatementPlace } from "../errors.ts";
import { readOnly } from "../ledger/denied.ts";
import { type PostgresFacts, postgresFacts } from "../postgres/errors.ts";

const MAX_EXCERPT = 500;

/** The session cannot write, and the statement wanted to. */
const READ_ONLY_SQL_TRANSACTION = "25006";

/**
 * Makes the error for a statement that the server refused. A lost connection and a passed deadline are not the
 * statement's fault: they keep their code, and name the place where they came.
 * @param exact false when it may have been a later statement
 */
export function migrationFailed(
  thrown: unknown,
  migration: Migration,
  index: number,
  exact = true,
): unknown {
  if (thrown instanceof MigratorError) {
    return interruptedAt(thrown, migration, index, exact ? {} : { others: " or behind it" });
  }
  const server = postgresFacts(thrown);
  if (server === null) return thrown;
  const place = placeOf(migration, index, server.position);
  const where = place === undefined ? "" : `, statement ${place.index} (line ${place.line})`;
  return new MigratorError(
    server.sqlstate === READ_ONLY_SQL_TRANSACTION ? "READ_ONLY" : "MIGRATION_FAILED",
    `Migration ${migration.tag}${where}: ${server.message} (${server.sqlstate}).`,
    {
      ...serverFacts(server),
      cause: thrown,
      migration: migration.tag,
      ...(place === undefined ? {} : { statement: place }),
    },
  );
}

/**
 * Adds to an error the place where it came.
 * @param others words that the place gets when it may have been another statement
 */
export function interruptedAt(
  error: MigratorError,
  migration: Migration,
  index: number,
  { how = "It came", others = "" }: { readonly how?: string; readonly others?: string },
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

/** Makes the error for a COMMIT that failed after all statements had passed: deferred constraints fail there. */
export function commitFailed(thrown: unknown, migrations: readonly Migration[]): unknown {
  const server = thrown instanceof MigratorError ? null : postgresFacts(thrown);
  if (server === null) return thrown;
  const [only, ...others] = migrations.map(({ tag }) => tag);
  return new MigratorError(
    "MIGRATION_FAILED",
    `All statements of ${[only, ...others].join(", ")} passed, but the transaction could not be committed: ${server.message} (${server.sqlstate}). Look at the deferred constraints.`,
    {
      ...serverFacts(server),
      cause: thrown,
      ...(only === undefined || others.length > 0 ? {} : { migration: only }),
    },
  );
}

/** Makes the error for a bookkeeping statement that the server refused for another reason than a missing right. */
export function bookkeepingFailed(thrown: unknown): unknown {
  const server = thrown instanceof MigratorError ? null : postgresFacts(thrown);
  if (server === null) return thrown;
  const facts = { ...serverFacts(server), cause: thrown };
  if (server.sqlstate === READ_ONLY_SQL_TRANSACTION) {
    return readOnly(
      "The database is read-only: the connection string leads to a replica, or to a role whose transactions are read-only.",
      facts,
    );
  }
  return new MigratorError(
    "LEDGER_UNWRITABLE",
    `The ledger could not be prepared or written: ${server.message} (${server.sqlstate}). The transaction is rolled back.`,
    facts,
  );
}

function serverFacts(server: PostgresFacts) {
  return {
    sqlstate: server.sqlstate,
    ...(server.detail === null ? {} : { detail: server.detail }),
    ...(server.hint === null ? {} : { hint: server.hint }),
    ...(server.where === null ? {} : { where: server.where }),
  };
}

function placeOf(
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
