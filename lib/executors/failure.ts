import {
  chunksOf,
  type Migration,
  STATEMENT_BREAKPOINT,
  type Statement,
  statementText,
} from "../bundle.ts";
import {
  MigratorError,
  type PostgresFacts,
  postgresFacts,
  type StatementPlace,
} from "../errors.ts";

const MAX_EXCERPT = 500;

/** A statement that wanted to write, in a session that cannot. */
const READ_ONLY_SQL_TRANSACTION = "25006";

/** Where in a migration the server refused. */
export interface FailedAt {
  readonly migration: Migration;
  /** Index into the migration's statements; null when it is not known, or when the failure is not in one. */
  readonly statement: number | null;
  /** UTF-16 offset into the file of the text that was sent: the server's `position` counts from there. */
  readonly sentFrom: number;
}

/**
 * The error for a statement that the server refused. A lost connection and a passed deadline are not the
 * statement's fault: they keep their code, and say where they came.
 */
export function migrationFailed(thrown: unknown, at: FailedAt): unknown {
  if (thrown instanceof MigratorError) return interruptedAt(thrown, at);
  const server = postgresFacts(thrown);
  if (server === null) return thrown;
  const place = placeOf(at, server);
  const where = place === undefined ? "" : `, statement ${place.index} (line ${place.line})`;
  return new MigratorError(
    server.sqlstate === READ_ONLY_SQL_TRANSACTION ? "READ_ONLY" : "MIGRATION_FAILED",
    `Migration ${at.migration.tag}${where}: ${server.message} (${server.sqlstate}).`,
    {
      ...serverFacts(server),
      cause: thrown,
      migration: at.migration.tag,
      ...(place === undefined ? {} : { statement: place }),
    },
  );
}

function interruptedAt(error: MigratorError, at: FailedAt): MigratorError {
  const place = placeOf(at, null);
  const where = place === undefined ? "" : `, statement ${place.index} (line ${place.line})`;
  return new MigratorError(
    error.code,
    `${error.message} It came in migration ${at.migration.tag}${where}.`,
    {
      ...error.facts,
      migration: at.migration.tag,
      ...(place === undefined ? {} : { statement: place }),
    },
  );
}

/** The error for a transaction whose statements all passed and whose COMMIT did not: deferred constraints. */
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

/** The error for a bookkeeping statement that the server refused for another reason than a missing right. */
export function bookkeepingFailed(thrown: unknown): unknown {
  const server = thrown instanceof MigratorError ? null : postgresFacts(thrown);
  if (server === null) return thrown;
  const readOnly = server.sqlstate === READ_ONLY_SQL_TRANSACTION;
  return new MigratorError(
    readOnly ? "READ_ONLY" : "MIGRATION_FAILED",
    readOnly
      ? "The database is read-only: the connection string leads to a replica, or to a role whose transactions are read-only. Use the primary's host."
      : `The ledger could not be prepared or written: ${server.message} (${server.sqlstate}). No migration was applied.`,
    { ...serverFacts(server), cause: thrown },
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

function placeOf(at: FailedAt, server: PostgresFacts | null): StatementPlace | undefined {
  const { migration } = at;
  const position = server?.position ?? null;
  const offset = position === null ? null : offsetOf(at, position);
  const byOffset = offset === null ? -1 : statementAt(migration, offset);
  const index = byOffset >= 0 ? byOffset : (at.statement ?? -1);
  const statement = migration.statements[index];
  if (statement === undefined) return undefined;
  const exact = offset !== null && byOffset >= 0 ? positionOf(migration.sql, offset) : statement;
  return {
    index: index + 1,
    line: exact.line,
    column: exact.column,
    excerpt: excerptOf(migration, statement),
  };
}

/** The server counts characters, that is code points, from 1; a JavaScript string counts UTF-16 units. */
function offsetOf(at: FailedAt, position: number): number {
  let offset = at.sentFrom;
  for (let passed = 1; passed < position; passed += 1) {
    offset += (at.migration.sql.codePointAt(offset) ?? 0) > 0xffff ? 2 : 1;
  }
  return offset;
}

function statementAt(migration: Migration, offset: number): number {
  return migration.statements.findIndex(({ start, end }) => start <= offset && offset <= end);
}

function positionOf(
  sql: string,
  offset: number,
): { readonly line: number; readonly column: number } {
  const before = sql.slice(0, offset);
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

function excerptOf(migration: Migration, statement: Statement): string {
  const text = statementText(migration, statement);
  return text.length > MAX_EXCERPT ? `${text.slice(0, MAX_EXCERPT - 1)}…` : text;
}

/** The UTF-16 offset into the file at which each chunk begins. */
export function chunkOffsets(migration: Migration): readonly number[] {
  let offset = 0;
  return chunksOf(migration).map((chunk) => {
    const from = offset;
    offset += chunk.length + STATEMENT_BREAKPOINT.length;
    return from;
  });
}
