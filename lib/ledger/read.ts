import type { Layout } from "../bundle/bundle.ts";
import type { Connection, Rows } from "../connection/connection.ts";
import { MigratorError } from "../errors.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/names.ts";
import type { ConfiguredLedger, LedgerPlace } from "../target/target.ts";
import { type Checkpoint, checkpointPlace } from "./checkpoints.ts";
import { deniedRead, hiddenRows } from "./denied.ts";
import { chooseHome } from "./home.ts";
import type { FoundLedger, Home, Ledger, LedgerRow } from "./ledger.ts";
import { placesOf, quotePlace } from "./place.ts";

/** The columns of every version of Drizzle's table. */
const REQUIRED_COLUMNS = ["id", "hash", "created_at"];

/**
 * Returns the statement that finds the ledger and reads it; it writes nothing. Plain SQL that names a missing or
 * closed table raises an error. So the statement that reads a table is a text, which `query_to_xml` runs only where
 * it can run. A fresh backend pays for every part of PostgreSQL that it touches first. The functions used here cost
 * it a quarter of a block of PL/pgSQL with the catalogs.
 */
export function ledgerQuestion(configured: ConfiguredLedger): string {
  const places = placesOf(configured).map(placeValues);
  return `
    select
      h.schema as "schema",
      ${quoteLiteral(configured.table)} as "table",
      n.oid is not null as "schemaExists",
      n.open as "open",
      l.oid is not null as "tableExists",
      has_database_privilege(current_database(), 'CREATE') as "mayCreateSchema",
      has_schema_privilege(n.oid, 'CREATE') as "mayCreateTable",
      has_table_privilege(l.oid, 'SELECT') as "mayRead",
      row_security_active(l.oid) as "policed",
      has_table_privilege(l.oid, 'INSERT') as "mayInsert",
      has_table_privilege(l.oid, 'UPDATE, DELETE, TRUNCATE') as "mayLock",
      case when l.answer::text like '%"id":%'
        then has_sequence_privilege(pg_get_serial_sequence(h.ledger, 'id'), 'USAGE') end as "mayCount",
      l.answer as "ledger",
      k.oid is not null as "checkpointsExist",
      has_table_privilege(k.oid, 'SELECT') as "mayReadCheckpoints",
      case when has_table_privilege(k.oid, 'SELECT')
        then query_to_xml(h.read_checkpoints, false, true, '') end as "checkpoints"
    from (values ${places.join(", ")})
      as h(schema, namespace, ledger, read_ledger, seek_ledger, checkpoints, read_checkpoints)
    cross join lateral (
      select
        to_regnamespace(h.namespace)::oid as oid,
        has_schema_privilege(to_regnamespace(h.namespace), 'USAGE') as open
    ) n
    cross join lateral (
      select oid, query_to_xml(case
        when has_table_privilege(oid, 'SELECT') then h.read_ledger
        when not n.open then h.seek_ledger end, false, true, '') as answer
      from (select case when n.open then to_regclass(h.ledger)::oid end as oid) found
    ) l
    cross join lateral (select case when n.open then to_regclass(h.checkpoints)::oid end as oid) k
  `;
}

function placeValues(ledger: LedgerPlace): string {
  const checkpoints = checkpointPlace(ledger);
  const namespace = quoteIdentifier(ledger.schema);
  const values = [
    ledger.schema,
    namespace,
    quotePlace(ledger),
    everyRow(ledger),
    // `to_regclass` refuses to look into a schema that is closed to us; the catalog shows what is in it.
    `select 1 from pg_catalog.pg_class where relnamespace = ${quoteLiteral(namespace)}::regnamespace and relname = ${quoteLiteral(ledger.table)}`,
    quotePlace(checkpoints),
    everyRow(checkpoints),
  ];
  return `(${values.map(quoteLiteral).join(", ")})`;
}

/**
 * Returns the query for all rows of a table as JSON, with all its columns. An empty table answers one row of nulls,
 * which shows their names.
 */
function everyRow(place: LedgerPlace): string {
  return `select json_agg(r) as rows from (select t.* from (select) as once left join ${quotePlace(place)} as t on true) as r`;
}

/** Asks the question for the ledger again, on an open session. */
export async function askForLedger(
  connection: Connection,
  configured: ConfiguredLedger,
): Promise<Rows> {
  return await connection.query<Row>(ledgerQuestion(configured));
}

/** The answer for one place. A field is null where there was nothing to ask about. */
interface Answer {
  readonly schema: string;
  readonly table: string;
  readonly schemaExists: boolean;
  readonly open: boolean | null;
  readonly tableExists: boolean;
  readonly mayCreateSchema: boolean;
  readonly mayCreateTable: boolean | null;
  readonly mayRead: boolean | null;
  /** Whether row-level security decides which rows we see. */
  readonly policed: boolean | null;
  readonly mayInsert: boolean | null;
  readonly mayLock: boolean | null;
  /** Whether our role may use the sequence of `id`; null also for an `id` without a sequence. */
  readonly mayCount: boolean | null;
  /** XML with the rows of the table. For a table in a closed schema: empty exactly when the table does not exist. */
  readonly ledger: string | null;
  readonly checkpointsExist: boolean;
  readonly mayReadCheckpoints: boolean | null;
  readonly checkpoints: string | null;
}

/** A row of a table whose columns are not known beforehand. */
type Row = Rows[number];

/** Every place that was looked at, and the ledgers that were found there. */
export interface Places {
  /** The configured place first. */
  readonly homes: readonly Home[];
  readonly found: readonly FoundLedger[];
}

/**
 * Reads the answer to `ledgerQuestion`.
 * @param role for the GRANTs in an error
 * @throws MigratorError `LEDGER_DENIED`, `LEDGER_UNKNOWN_FORMAT`
 */
export function readPlaces(rows: Rows, role: string): Places {
  if (rows.length === 0) throw new Error("The question for the ledger was not answered.");
  // The statement above made these rows; their shape is ours.
  const answers = rows as unknown as readonly Answer[];
  const read = answers.map((answer) => {
    const rows = answer.mayRead === true ? jsonIn(answer.ledger) : [];
    return { answer, rows, home: homeOf(answer, Object.keys(rows[0] ?? {})) };
  });
  return {
    homes: read.map(({ home }) => home),
    found: read
      .filter(({ home }) => home.tableExists)
      .map(({ answer, rows, home }) => foundAt(home, rows, answer, role)),
  };
}

/**
 * Reads the answer to `ledgerQuestion`, and chooses the ledger that counts.
 * @param layout of the bundle: the format of a ledger that does not exist yet
 * @throws MigratorError as `readPlaces`, and `LEDGER_SPLIT`
 */
export function readLedger(rows: Rows, role: string, layout: Layout): Ledger {
  const { homes, found } = readPlaces(rows, role);
  return chooseHome(homes, found, layout);
}

function homeOf(answer: Answer, columns: readonly string[]): Home {
  const { schema, table, schemaExists, mayCreateSchema, checkpointsExist } = answer;
  const hidden = answer.open === false && answer.ledger !== "";
  return {
    schema,
    table,
    schemaExists,
    tableExists: answer.tableExists || hidden,
    mayCreateSchema,
    mayCreateTable: answer.mayCreateTable === true,
    mayRead: answer.mayRead === true,
    mayInsert: answer.mayInsert === true && answer.mayCount !== false,
    mayLock: answer.mayLock === true,
    columns,
    checkpointsExist,
    mayReadCheckpoints: answer.mayReadCheckpoints === true,
  };
}

function foundAt(
  home: Home,
  rows: readonly Row[],
  { checkpoints, policed }: Answer,
  role: string,
): FoundLedger {
  if (!home.mayRead || (home.checkpointsExist && !home.mayReadCheckpoints)) {
    throw deniedRead(home, role);
  }
  const missing = REQUIRED_COLUMNS.filter((column) => !home.columns.includes(column));
  if (missing.length > 0) throw unknownFormat(home, `it has no column ${missing.join(", ")}`);
  const written = rows.filter((row) => Object.values(row).some((value) => value !== null));
  if (policed === true && written.length === 0) throw hiddenRows(home, role);
  return {
    home,
    rows: written.map((row) => ledgerRow(home, row)).toSorted((one, other) => one.id - other.id),
    // Our own table, written by `checkpointUpsert`.
    checkpoints: jsonIn(checkpoints).filter(({ tag }) => tag !== null) as unknown as Checkpoint[],
  };
}

function ledgerRow(home: Home, { id, hash, created_at: when, name }: Row): LedgerRow {
  if (!Number.isFinite(Number(id)) || !Number.isFinite(Number(when))) {
    throw unknownFormat(home, "its id or created_at holds no number");
  }
  return {
    id: Number(id),
    hash: String(hash),
    when: when === null ? null : Number(when),
    name: typeof name === "string" ? name : null,
  };
}

function unknownFormat(home: Home, why: string): MigratorError {
  return new MigratorError(
    "LEDGER_UNKNOWN_FORMAT",
    `The table ${quotePlace(home)} is not a Drizzle ledger: ${why}. Set LEDGER_SCHEMA and LEDGER_TABLE to where drizzle.config.ts keeps it.`,
  );
}

const ESCAPED: Readonly<Record<string, string>> = {
  ...{ "&lt;": "<", "&gt;": ">", "&amp;": "&" },
  // A carriage return between the tokens of a `json`: PostgreSQL hands the text on as it was written.
  "&#x0d;": "\r",
};

/** Returns the rows that `everyRow` has made, without the XML around them. */
function jsonIn(xml: string | null): readonly Row[] {
  const [, text] = /<rows>(.*)<\/rows>/s.exec(xml ?? "") ?? [];
  if (text === undefined) return [];
  return JSON.parse(
    text.replace(/&(?:lt|gt|amp|#x0d);/g, (escaped) => ESCAPED[escaped] ?? escaped),
  );
}
