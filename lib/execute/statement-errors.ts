import { type Migration, statementText } from "../bundle/bundle.ts";
import { type ErrorFacts, MigratorError } from "../errors.ts";
import { readOnly } from "../ledger/denied.ts";
import { type PostgresFacts, postgresFacts } from "../postgres/errors.ts";
import { interruptedAt, placeOf } from "./error-place.ts";

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
  const why =
    server.sqlstate === READ_ONLY_SQL_TRANSACTION ? ` ${madeReadOnly(migration, index)}` : "";
  return new MigratorError(
    "MIGRATION_FAILED",
    `Migration ${migration.tag}${where}: ${server.message} (${server.sqlstate}).${why}`,
    {
      ...serverFacts(server),
      cause: thrown,
      migration: migration.tag,
      ...(place === undefined ? {} : { statement: place }),
    },
  );
}

/** Makes the error for a COMMIT that failed after all statements had passed: deferred constraints fail there. */
export function commitFailed(thrown: unknown, migrations: readonly Migration[]): unknown {
  const server = thrown instanceof MigratorError ? null : postgresFacts(thrown);
  if (server === null || migrations.length === 0) return bookkeepingFailed(thrown);
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

/** The migration that a bookkeeping statement stands behind or before. */
export interface Around {
  readonly migration: Migration;
  /** Whether statements of it went before the bookkeeping statement, in the same transaction. */
  readonly ran: boolean;
}

/**
 * Makes the error for a bookkeeping statement that the server refused for another reason than a missing right.
 * @param around undefined where the transaction is about no migration
 */
export function bookkeepingFailed(thrown: unknown, around?: Around): unknown {
  const server = thrown instanceof MigratorError ? null : postgresFacts(thrown);
  if (server === null) return thrown;
  const { migration, ran } = around ?? { ran: false };
  const facts = { ...serverFacts(server), cause: thrown };
  const told = `The ledger could not be prepared or written: ${server.message} (${server.sqlstate}). The transaction is rolled back.`;
  if (server.sqlstate === READ_ONLY_SQL_TRANSACTION) {
    if (migration !== undefined) return readOnlyByItself(told, migration, facts);
    return readOnly(
      "The database is read-only: the connection string leads to a replica, or to a role whose transactions are read-only.",
      facts,
    );
  }
  // With a context it came from within a trigger of the ledger.
  const isGone = GONE.includes(server.sqlstate) && server.where === null;
  if (!isGone) return new MigratorError("LEDGER_UNWRITABLE", told, facts);
  return ran && migration !== undefined
    ? takenAway(told, migration, facts)
    : new MigratorError(
        "LEDGER_UNWRITABLE",
        `${told} The ledger is not as this run has read it: somebody else, or a statement that stands alone, has dropped, renamed or changed it since. Restore it before the next run, for which all migrations would be pending without it.`,
        facts,
      );
}

/** No such table, schema or column. */
const GONE: readonly string[] = ["42P01", "3F000", "42703"];

function takenAway(told: string, { tag }: Migration, facts: ErrorFacts): MigratorError {
  return new MigratorError(
    "LEDGER_UNWRITABLE",
    `${told} A statement of migration ${tag} has dropped, renamed or changed the ledger or its schema. Take that statement out. A ledger is moved by hand while nobody migrates, and LEDGER_SCHEMA then names its new schema.`,
    { ...facts, migration: tag },
  );
}

function readOnlyByItself(told: string, migration: Migration, facts: ErrorFacts): MigratorError {
  return new MigratorError(
    "MIGRATION_FAILED",
    `Migration ${migration.tag}: ${told} ${madeReadOnly(migration)}`,
    { ...facts, migration: migration.tag },
  );
}

/** A run begins only on a session that can write: what ends that is a statement of the migration itself. */
function madeReadOnly(migration: Migration, end = migration.statements.length): string {
  const index = migration.statements
    .slice(0, end)
    .findLastIndex((each) => /read[\s_]+only/i.test(statementText(migration, each)));
  const place = placeOf(migration, index, null);
  const what =
    place === undefined
      ? "A statement before, or a function that it calls,"
      : `Statement ${place.index} (line ${place.line})`;
  return `${what} has made transactions read-only. Take that out, or take it back before something is written.`;
}

function serverFacts(server: PostgresFacts) {
  return {
    sqlstate: server.sqlstate,
    ...(server.detail === null ? {} : { detail: server.detail }),
    ...(server.hint === null ? {} : { hint: server.hint }),
    ...(server.where === null ? {} : { where: server.where }),
  };
}
