import { type Bundle, type Migration, type Statement, statementText } from "../bundle/bundle.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { tablesQuestion as questionFor } from "../postgres/find-tables.ts";
import { type ObjectName, quoteName } from "../postgres/names.ts";

/*
 * First tables: whether a database has the tables of a folder, but no row of it in its ledger. Such a database was made by
 * `drizzle-kit push` or by hand. The statements' texts come in, and later the tables that are there; an error or a warning
 * goes out.
 */

/** A table that a migration makes, and that no later statement drops, renames or moves. */
export interface FirstTable extends ObjectName {
  readonly tag: string;
}

const MAKING: readonly string[] = ["CreateStmt", "CreateTableAsStmt", "CreateForeignTableStmt"];
const NOT_OF_THE_DATABASE = /^create\s+(?:global\s+|local\s+)?temp/i;
/** Behind these words in a SET a name without a schema may lead anywhere. */
const OTHER_PATH = /search_path|schema|role|session|config/i;

/** Returns the tables that migrations make and keep, as far as the statements' texts show it. */
export function firstTables({ migrations }: Pick<Bundle, "migrations">): readonly FirstTable[] {
  const tables = new Map<string, FirstTable>();
  let isPathKnown = true;
  for (const { tag, statement, text } of migrations.flatMap(statementsOf)) {
    const sets = statement.kind === "VariableSetStmt" || statement.effect?.kind === "sets";
    isPathKnown &&= !(sets && OTHER_PATH.test(text));
    for (const gone of goneBy(statement, text)) tables.delete(quoteName(gone));
    const made = madeBy(statement, text);
    if (made === null || (made.schema === null && !isPathKnown)) continue;
    tables.set(quoteName(made), { ...made, tag });
  }
  return [...tables.values()];
}

function statementsOf(migration: Migration) {
  const { tag, statements } = migration;
  return statements.map((statement) => {
    return { tag, statement, text: statementText(migration, statement) };
  });
}

/** A statement that makes a table names it first. Partitions are left out: they come and go with their data. */
function madeBy({ kind, touches = [] }: Statement, text: string): ObjectName | null {
  const [first, ...others] = touches;
  if (first?.kind !== "table" || !MAKING.includes(kind) || NOT_OF_THE_DATABASE.test(text)) {
    return null;
  }
  const isPartition = others.some((each) => each.kind === "default-partition");
  return isPartition ? null : { schema: first.schema, name: first.name };
}

/** Returns the tables that are not to be found under their names any more. */
function goneBy({ kind, touches = [] }: Statement, text: string): readonly ObjectName[] {
  const isGone =
    (kind === "DropStmt" && touches[0]?.kind === "table") ||
    (kind === "RenameStmt" && /\brename\s+to\b/i.test(text)) ||
    kind === "AlterObjectSchemaStmt";
  return isGone ? touches.filter((each) => each.kind === "table") : [];
}

/** Returns the statement that finds these tables where the migrations would make them. */
export function tablesQuestion(tables: readonly FirstTable[]): string {
  return questionFor(tables, "where-it-is-made");
}

/** Number of tables that a message names. */
const MAX_NAMED = 5;

/**
 * Says what it means that these tables are there. With all tables of the first migration that makes some, nothing is run: it
 * would fail, or do once more what is done. With some of them the folder may still be meant for this database.
 * @param ledger the ledger, in words
 * @throws MigratorError `NOT_BASELINED`, where `refuses`
 * @returns null where none of them is there
 */
export function judgeTables(
  tables: readonly FirstTable[],
  present: ReadonlySet<FirstTable>,
  ledger: string,
): { readonly complete: boolean; readonly warning: Warning } | null {
  if (present.size === 0) return null;
  const tags = [...new Set(tables.map(({ tag }) => tag))];
  const of = (tag: string) => tables.filter((each) => each.tag === tag);
  const isThere = (tag: string) => of(tag).every((each) => present.has(each));
  const end = tags.findIndex((tag) => !isThere(tag));
  const whole = end === -1 ? tags : tags.slice(0, end);
  const complete = whole.length > 0;
  const about = complete ? whole : tags.filter((tag) => of(tag).some((each) => present.has(each)));
  const total = about.flatMap(of);
  const there = total.filter((each) => present.has(each));
  const named = there.slice(0, MAX_NAMED).map(quoteName);
  const names = `${named.join(", ")}${there.length > named.length ? ", …" : ""}`;
  const [first = "", last = first] = [about[0], about.at(-1)];
  const range = first === last ? first : `${first} to ${last}`;
  const message = `This database has ${there.length} of the ${total.length} tables of ${range} (${names}), and ${ledger}. ${adviceFor(last)}`;
  return { complete, warning: { code: "NOT_BASELINED", message } };
}

/** Returns the way out for a database that was not made by migrations. */
export function adviceFor(tag: string): string {
  return `Was it made by "drizzle-kit push", by another tool or by hand? "neon-migrate baseline --to ${tag}" shows what would be counted as applied. If the tables are another program's, give this folder a database or a schema of its own.`;
}

/** Makes the error for a run that would do once more what is done. */
export function notBaselined({ message }: Warning): MigratorError {
  return new MigratorError("NOT_BASELINED", `${message} Nothing was run.`);
}

const SCHEMA_EXISTS = "42P06";

/** The SQLSTATEs of an object that exists: schema, table, column, function; type, index, constraint, role and others. */
const EXISTS: readonly string[] = [SCHEMA_EXISTS, "42P07", "42701", "42723", "42710"];

/**
 * Adds the way out to the error of a statement whose object exists already, in a run that found no row of the folder. An
 * object that the folder itself makes twice is not meant.
 * @param ledgerSchema the schema of the ledger, which is made before the first migration
 */
export function withAdvice(
  thrown: unknown,
  migrations: readonly Migration[],
  ledgerSchema: string,
): unknown {
  if (!(thrown instanceof MigratorError)) return thrown;
  const { migration: tag, sqlstate = "", statement: place } = thrown.facts;
  const at = migrations.findIndex((each) => each.tag === tag);
  const failed = place === undefined ? undefined : migrations[at]?.statements[place.index - 1];
  if (failed === undefined || tag === undefined || !EXISTS.includes(sqlstate)) return thrown;
  const before = migrations.slice(0, at + 1).flatMap(({ statements }) => statements);
  const names = new Set(failed.touches?.map(quoteName));
  const isOwn = before
    .slice(0, before.indexOf(failed))
    .some(({ touches = [] }) =>
      touches.some((each) => each.lock === undefined && names.has(quoteName(each))),
    );
  if (isOwn) return thrown;
  if (sqlstate === SCHEMA_EXISTS && thrown.message.includes(`"${ledgerSchema}"`)) {
    return ofTheLedger(thrown);
  }
  const message = `${thrown.message} The ledger has no migration of this folder. ${adviceFor(tag)}`;
  return new MigratorError(thrown.code, message, thrown.facts);
}

/** Nothing was made by hand: the run itself has made the schema. */
function ofTheLedger({ code, message, facts }: MigratorError): MigratorError {
  const advice =
    "Write CREATE SCHEMA IF NOT EXISTS in the migration, or keep the ledger in a schema that no migration creates (migrations.schema in drizzle.config.ts, LEDGER_SCHEMA), then run again.";
  const why = "The ledger is kept in this schema, so it is made before the first migration.";
  return new MigratorError(code, `${message} ${why}`, { ...facts, advice });
}
