import type { Bundle } from "../bundle/bundle.ts";
import type { Connection, Rows } from "../connection/connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/names.ts";
import type { ConfiguredLedger, LedgerPlace } from "../target/target.ts";
import { type Checkpoint, checkpointPlace } from "./checkpoints.ts";
import { deniedRead, foreign, hiddenRows, notAdopted } from "./denied.ts";
import { begunBy, type Explaining, explainedRows, identified } from "./explain.ts";
import { chooseHome, isWritten } from "./home.ts";
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
      l.owner as "owner",
      l.ours as "ours",
      l.believed as "believed",
      pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') as "mayCreateSchema",
      pg_catalog.has_schema_privilege(n.oid, 'CREATE') as "mayCreateTable",
      pg_catalog.has_table_privilege(l.oid, 'SELECT') as "mayRead",
      pg_catalog.row_security_active(l.oid) as "policed",
      pg_catalog.has_table_privilege(l.oid, 'INSERT') as "mayInsert",
      pg_catalog.has_table_privilege(l.oid, 'UPDATE, DELETE, TRUNCATE') as "mayLock",
      case when l.answer::pg_catalog.text operator(pg_catalog.~~) '%"id":%'
        then pg_catalog.has_sequence_privilege(pg_catalog.pg_get_serial_sequence(h.ledger, 'id'), 'USAGE') end as "mayCount",
      l.answer as "ledger",
      k.oid is not null as "checkpointsExist",
      k.owner as "checkpointsOwner",
      k.believed as "checkpointsBelieved",
      pg_catalog.has_table_privilege(k.oid, 'SELECT') as "mayReadCheckpoints",
      pg_catalog.has_table_privilege(k.oid, 'INSERT') and pg_catalog.has_table_privilege(k.oid, 'UPDATE')
        and pg_catalog.has_table_privilege(k.oid, 'DELETE') as "mayWriteCheckpoints",
      case when k.believed and pg_catalog.has_table_privilege(k.oid, 'SELECT')
        then pg_catalog.query_to_xml(h.read_checkpoints, false, true, '') end as "checkpoints"
    from (values ${places.join(", ")})
      as h(schema, namespace, ledger, read_ledger, seek_ledger, checkpoints, read_checkpoints)
    cross join (
      select d.datdba, pg_catalog.current_setting('is_superuser') operator(pg_catalog.=) 'on' as super
      from pg_catalog.pg_database d
      where d.datname operator(pg_catalog.=) pg_catalog.current_database()
    ) as us
    cross join lateral (
      select
        pg_catalog.to_regnamespace(h.namespace)::pg_catalog.oid as oid,
        pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace(h.namespace), 'USAGE') as open
    ) as n
    cross join lateral (
      select found.*, pg_catalog.query_to_xml(case
        when found.believed and pg_catalog.has_table_privilege(found.oid, 'SELECT') then h.read_ledger
        when not n.open then h.seek_ledger end, false, true, '') as answer
      from ${tableAt("h.ledger")} as found
    ) as l
    cross join lateral ${tableAt("h.checkpoints")} as k
  `;
}

/**
 * Returns the query for one table, with its owner. Nothing of a table is read that is not believed: a view, or the
 * row-level security of a stranger's table, would run the stranger's code with our rights. These roles are believed: our
 * own, those that it is a member of and those that are members of it, the owner of the database, and superusers. A
 * superuser counts as a member of every role, so for one of them only its own tables, and those of such owners, count.
 */
function tableAt(name: string): string {
  return `(
    select t.oid, t.owner, t.ours, t.ours
      or t.plain and (t.relowner operator(pg_catalog.=) us.datdba or pg_catalog.pg_has_role(t.relowner, current_user, 'MEMBER'))
      as believed
    from (select) as once left join lateral (
      select
        c.oid, c.relowner, c.plain, pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text as owner,
        c.plain and (pg_catalog.pg_get_userbyid(c.relowner) operator(pg_catalog.=) current_user
          or not us.super and pg_catalog.pg_has_role(c.relowner, 'MEMBER')) as ours
      from (
        select oid, relowner, relkind operator(pg_catalog.=) any ('{r,p}'::pg_catalog."char"[]) as plain
        from pg_catalog.pg_class
        where oid operator(pg_catalog.=) case when n.open then pg_catalog.to_regclass(${name})::pg_catalog.oid end
      ) as c
    ) as t on true
  )`;
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
    `select relname operator(pg_catalog.=) ${quoteLiteral(ledger.table)} as ledger from pg_catalog.pg_class
     where relnamespace operator(pg_catalog.=) ${quoteLiteral(namespace)}::pg_catalog.regnamespace
       and relname operator(pg_catalog.=) any (array[${[ledger.table, checkpoints.table].map(quoteLiteral).join(", ")}]::pg_catalog.name[])`,
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
  return `select pg_catalog.json_agg(r) as rows from (select t.* from (select) as once left join ${quotePlace(place)} as t on true) as r`;
}

/** Asks the question for the ledger again, on an open session, as the role of the session's start. */
export async function askForLedger(
  connection: Connection,
  configured: ConfiguredLedger,
): Promise<Rows> {
  // The message is one transaction: a role that a migration has set for the session is in force again behind it.
  const answers = await connection.batch([
    "set local session authorization default",
    `set local role ${quoteIdentifier(connection.database.role)}`,
    ledgerQuestion(configured),
  ]);
  return answers.at(-1) ?? [];
}

/** The answer for one place. A field is null where there was nothing to ask about. */
interface Answer {
  readonly schema: string;
  readonly table: string;
  readonly schemaExists: boolean;
  readonly open: boolean | null;
  readonly tableExists: boolean;
  readonly owner: string | null;
  readonly ours: boolean | null;
  readonly believed: boolean | null;
  readonly mayCreateSchema: boolean;
  readonly mayCreateTable: boolean | null;
  readonly mayRead: boolean | null;
  /** Whether row-level security decides which rows we see. */
  readonly policed: boolean | null;
  readonly mayInsert: boolean | null;
  readonly mayLock: boolean | null;
  /** Whether our role may use the sequence of `id`; null also for an `id` without a sequence. */
  readonly mayCount: boolean | null;
  /** XML with the rows of the table. In a closed schema: whether it has the ledger (`true`) and the checkpoints (`false`). */
  readonly ledger: string | null;
  readonly checkpointsExist: boolean;
  readonly checkpointsOwner: string | null;
  readonly checkpointsBelieved: boolean | null;
  readonly mayReadCheckpoints: boolean | null;
  readonly mayWriteCheckpoints: boolean | null;
  readonly checkpoints: string | null;
}

/** A row of a table whose columns are not known beforehand. */
type Row = Rows[number];

/** Every place that was looked at, and the ledgers that were found there. */
export interface Places {
  /** The configured place first. */
  readonly homes: readonly Home[];
  readonly found: readonly FoundLedger[];
  /** A table in the fallback place that was not taken for the ledger. */
  readonly warnings: readonly Warning[];
}

/** The answer for one place, as far as it was read. */
interface Reading {
  readonly answer: Answer;
  readonly rows: readonly Row[];
  readonly home: Home;
}

/**
 * Reads the answer to `ledgerQuestion`. The configured place is the ledger, or an error. `public` is a fallback of ours
 * and not a place to adopt what lies there: a ledger in it counts only if it explains a migration of the bundle, or if
 * it is empty and our own.
 * @param role for the GRANTs in an error
 * @throws MigratorError `LEDGER_DENIED`, `LEDGER_UNKNOWN_FORMAT`, `LEDGER_FOREIGN`
 */
export function readPlaces(rows: Rows, role: string, bundle: Explaining): Places {
  // The statement above made these rows; their shape is ours.
  const answers = rows as unknown as readonly Answer[];
  const [configured, fallback] = answers.map((answer): Reading => {
    const rows = answer.mayRead === true ? jsonIn(answer.ledger) : [];
    return { answer, rows, home: homeOf(answer, Object.keys(rows[0] ?? {})) };
  });
  if (configured === undefined) throw new Error("The question for the ledger was not answered.");
  const first = configured.home.tableExists ? foundAt(configured, role) : null;
  const homes = [configured.home];
  const found = first === null ? [] : [first];
  if (fallback === undefined) return { homes, found, warnings: [] };
  homes.push(fallback.home);
  const isFirstWritten = first !== null && isWritten(first);
  const second = adopt(fallback, role, bundle, isFirstWritten);
  if (second !== null) found.push(second);
  const ignored = second === null && fallback.home.tableExists && !isFirstWritten;
  return { homes, found, warnings: ignored ? [notAdopted(fallback.home)] : [] };
}

/** Whether the table in the fallback place can be a ledger of ours at all. */
function isCandidate(home: Home): boolean {
  const areForeign = home.checkpointsExist && !home.checkpointsBelieved;
  return home.tableExists && home.believed && !areForeign && missingColumns(home).length === 0;
}

/** Returns the ledger in the fallback place; null where the table there is not ours. */
function adopt(
  reading: Reading,
  role: string,
  bundle: Explaining,
  isFirstWritten: boolean,
): FoundLedger | null {
  const { home, answer } = reading;
  const isClosed = answer.open === false || (home.believed && !home.mayRead);
  // Nobody can tell whose rows these are. With a ledger in the configured place nobody needs to.
  if (home.tableExists && isClosed && !isFirstWritten) throw deniedRead(home, role);
  if (isClosed || !isCandidate(home)) return null;
  const found = foundAt(reading, role);
  if (!isWritten(found)) return home.ours ? found : null;
  const explained = explainedRows(found.rows, bundle);
  const begun = found.checkpoints.some((each) => begunBy(each, bundle) !== undefined);
  return explained.length > 0 || begun ? { ...found, explained } : null;
}

/**
 * Reads the answer to `ledgerQuestion`, and chooses the ledger that counts.
 * @param bundle explains the rows; its layout is the format of a ledger that does not exist yet
 * @throws MigratorError as `readPlaces`, and `LEDGER_SPLIT`
 */
export function readLedger(
  rows: Rows,
  role: string,
  bundle: Explaining & Pick<Bundle, "layout">,
): Ledger {
  const { homes, found, warnings } = readPlaces(rows, role, bundle);
  const ledger = identified(chooseHome(homes, found, bundle.layout), bundle);
  return { ...ledger, warnings: [...warnings, ...ledger.warnings] };
}

function homeOf(answer: Answer, columns: readonly string[]): Home {
  const { schema, table, schemaExists, mayCreateSchema, open } = answer;
  const hidden = (what: boolean): boolean =>
    open === false && answer.ledger?.includes(`>${what}<`) === true;
  return {
    schema,
    table,
    schemaExists,
    mayUse: open === true,
    tableExists: answer.tableExists || hidden(true),
    mayCreateSchema,
    mayCreateTable: answer.mayCreateTable === true,
    mayRead: answer.mayRead === true,
    mayInsert: answer.mayInsert === true,
    mayCount: answer.mayCount !== false,
    mayLock: answer.mayLock === true,
    columns,
    owner: answer.owner,
    ours: answer.ours === true,
    believed: answer.believed === true,
    checkpointsExist: answer.checkpointsExist || hidden(false),
    checkpointsBelieved: answer.checkpointsBelieved === true,
    mayReadCheckpoints: answer.mayReadCheckpoints === true,
    mayWriteCheckpoints: answer.mayWriteCheckpoints === true,
  };
}

function foundAt({ home, rows, answer }: Reading, role: string): FoundLedger {
  const { checkpoints, policed, checkpointsOwner } = answer;
  const isHidden = answer.open === false;
  if (!isHidden && !home.believed) throw foreign(home, home.owner, role);
  if (!isHidden && home.checkpointsExist && !home.checkpointsBelieved) {
    throw foreign(checkpointPlace(home), checkpointsOwner, role);
  }
  if (!home.mayRead || (home.checkpointsExist && !home.mayReadCheckpoints)) {
    throw deniedRead(home, role);
  }
  const missing = missingColumns(home);
  if (missing.length > 0) throw unknownFormat(home, `it has no column ${missing.join(", ")}`);
  const written = rows.filter((row) => Object.values(row).some((value) => value !== null));
  if (policed === true && written.length === 0) throw hiddenRows(home, role);
  return {
    home,
    rows: written.map((row) => ledgerRow(home, row)).toSorted((one, other) => one.id - other.id),
    // Our own table, written by `checkpointUpsert`.
    checkpoints: jsonIn(checkpoints)
      .filter(({ tag }) => tag !== null)
      .map(withoutList) as unknown as Checkpoint[],
  };
}

function missingColumns({ columns }: Home): readonly string[] {
  return REQUIRED_COLUMNS.filter((column) => !columns.includes(column));
}

/** Earlier versions wrote a bare list of the indexes that were there before. */
function withoutList(row: Row): Row {
  return Array.isArray(row.before) ? { ...row, before: { there: row.before } } : row;
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
