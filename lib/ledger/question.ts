import { NO_NAMES } from "../bundle/overview.ts";
import type { Connection, Rows } from "../connection/connection.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/names.ts";
import { type ConfiguredLedger, DEFAULT_LEDGER, type LedgerPlace } from "../target/target.ts";
import { checkpointPlace } from "./checkpoints.ts";
import { isBelieved, isOurs } from "./owned.ts";
import { historyPlace, placesOf, quotePlace } from "./place.ts";

/**
 * Returns the statement that finds the ledger and reads it; it writes nothing. Plain SQL that names a missing or
 * closed table raises an error. So the statement that reads a table is a text, which `query_to_xml` runs only where
 * it can run. A fresh backend pays for every part of PostgreSQL that it touches first. The functions used here cost
 * it a quarter of a block of PL/pgSQL with the catalogs.
 * @param known the digests of ledgers of which nobody needs the rows: of such a one a single row comes back, which shows the
 *   columns. Default: none
 */
export function ledgerQuestion(
  configured: ConfiguredLedger,
  known: readonly (string | null)[] = [],
): string {
  const digests = known.filter((each) => each !== null);
  const places = placesOf(configured).map((place, index) =>
    placeValues(place, index === 0 ? quoteLiteral(LOOK_FOR_TABLES) : "null"),
  );
  return `
    select
      h.schema as "schema",
      ${quoteLiteral(configured.table)} as "table",
      n.oid is not null as "schemaExists",
      n.open as "open",
      l.oid is not null as "tableExists",
      pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') as "mayCreateSchema",
      pg_catalog.has_schema_privilege(n.oid, 'CREATE') as "mayCreateTable",
      ${may("l.oid", "SELECT")} as "mayRead",
      pg_catalog.row_security_active(l.oid) as "policed",
      ${may("l.oid", "INSERT")} as "mayInsert",
      ${may("l.oid", "UPDATE, DELETE, TRUNCATE")} as "mayLock",
      case when l.answer::pg_catalog.text operator(pg_catalog.~~) '%"id":%'
        then pg_catalog.has_sequence_privilege(pg_catalog.pg_get_serial_sequence(h.ledger, 'id'), 'USAGE') end as "mayCount",
      l.answer as "ledger",
      k.oid is not null as "checkpointsExist",
      ${may("k.oid", "SELECT")} as "mayReadCheckpoints",
      ${may("k.oid", "INSERT")} and ${may("k.oid", "UPDATE")}
        and ${may("k.oid", "DELETE")} as "mayWriteCheckpoints",
      pg_catalog.query_to_xml(${readingOf("k.oid", "checkpoints", everyRow())}, false, true, '') as "checkpoints",
      coalesce(${stateOfHistory()}, ${neighbours(configured)}) as "history"
    from (values ${places.join(", ")})
      as h(schema, namespace, ledger, quoted_ledger, seek_ledger, look_around, checkpoints, quoted_checkpoints, history)
    cross join lateral (
      select
        pg_catalog.to_regnamespace(h.namespace)::pg_catalog.oid as oid,
        pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace(h.namespace), 'USAGE') as open
    ) as n
    cross join lateral (
      select found.oid, pg_catalog.query_to_xml(
        coalesce(case when n.open then ${readingOf("found.oid", "ledger", digests.length === 0 ? everyRow() : everyRowUnless(digests))} when not n.open then h.seek_ledger end, h.look_around), false, true, '') as answer
      from (select case when n.open then pg_catalog.to_regclass(h.ledger)::pg_catalog.oid end as oid) as found
    ) as l
    cross join lateral (select case when n.open then pg_catalog.to_regclass(h.checkpoints)::pg_catalog.oid end as oid) as k
  `;
}

/**
 * The statement that tells whether nobody has made a table yet. Where somebody has, and there is no ledger, a run looks further
 * before it begins. The objects of PostgreSQL itself have lower numbers.
 */
const LOOK_FOR_TABLES = `select not exists (select from pg_catalog.pg_class where oid operator(pg_catalog.>=) 16384::pg_catalog.oid
  and relkind operator(pg_catalog.=) any ('{r,p}'::pg_catalog."char"[])) as blank`;

function may(oid: string, right: string): string {
  return `pg_catalog.has_table_privilege(${oid}, '${right}')`;
}

/** Stands for a table in the statements that read one. They are sent once, and the server puts the name of each table in. */
const TABLE = "@";

/**
 * Returns the expression for the statement that reads a table and says whose it is. A table of the very role is the rule,
 * and takes few functions. The planner spends less on a subquery by object id than on a join with the catalog.
 * @param reading the rest of the query that reads `TABLE`
 */
function readingOf(oid: string, table: "ledger" | "checkpoints", reading: string): string {
  const named = (text: string, name: string) =>
    `pg_catalog.replace(${quoteLiteral(text)}, '${TABLE}', ${name})`;
  return `(
    select case
      when c.relkind operator(pg_catalog.=) 'r' and pg_catalog.pg_get_userbyid(c.relowner) operator(pg_catalog.=) current_user
        and ${may("c.oid", "SELECT")} then ${named(`select true as ours, ${reading}`, `h.${table}`)}
      else ${named(judged(TABLE, reading), `h.quoted_${table}`)} end
    from pg_catalog.pg_class c where c.oid operator(pg_catalog.=) ${oid}
  )`;
}

/**
 * Returns the expression that tells whether our role may use the history: `open` or `closed`; null without one. Our own table is
 * believed, and one of the ledger's owner, who is believed already.
 */
function stateOfHistory(): string {
  return `(select case when c.relkind operator(pg_catalog.=) 'r' and (pg_catalog.pg_get_userbyid(c.relowner) operator(pg_catalog.=) current_user
or c.relowner operator(pg_catalog.=) (select relowner from pg_catalog.pg_class where oid operator(pg_catalog.=) l.oid))
and ${may("c.oid", "SELECT")} and ${may("c.oid", "INSERT")} then 'open' else 'closed' end
from pg_catalog.pg_class c where c.oid operator(pg_catalog.=) case when n.open then pg_catalog.to_regclass(h.history)::pg_catalog.oid end)`;
}

/**
 * Returns the expression that tells whether a schema of another name than Drizzle's has tables of others: `shared`. Our own
 * have the name of the ledger, with or without a suffix.
 */
function neighbours({ schema, table }: ConfiguredLedger): string {
  if (schema === DEFAULT_LEDGER.schema) return "null";
  return `case when exists (select from pg_catalog.pg_class where relnamespace operator(pg_catalog.=) n.oid
and not pg_catalog.starts_with(relname, ${quoteLiteral(table)})) then 'shared' end`;
}

/** @param lookAround the literal of the statement for a place without a ledger */
function placeValues(ledger: LedgerPlace, lookAround: string): string {
  const checkpoints = checkpointPlace(ledger);
  const namespace = quoteIdentifier(ledger.schema);
  const name = quotePlace(ledger);
  const values = [
    ledger.schema,
    namespace,
    name,
    escaped(name),
    // `to_regclass` refuses to look into a schema that is closed to us; the catalog shows what is in it.
    `select relname operator(pg_catalog.=) ${quoteLiteral(ledger.table)} as ledger from pg_catalog.pg_class
     where relnamespace operator(pg_catalog.=) ${quoteLiteral(namespace)}::pg_catalog.regnamespace
       and relname operator(pg_catalog.=) any (array[${[ledger.table, checkpoints.table].map(quoteLiteral).join(", ")}]::pg_catalog.name[])`,
  ].map(quoteLiteral);
  const beside = [quotePlace(checkpoints), escaped(quotePlace(checkpoints))];
  const last = [...beside, quotePlace(historyPlace(ledger))].map(quoteLiteral);
  return `(${[...values, lookAround, ...last].join(", ")})`;
}

/** Returns a name as it stands within a literal. */
function escaped(name: string): string {
  return quoteLiteral(name).slice(2, -1);
}

/**
 * Returns the rest of a query for all rows of a table as JSON, with all its columns. An empty table answers one row of
 * nulls, which shows their names.
 * @param limit the expression of the most rows. Default: null, which is no limit
 */
function everyRow(limit = "null"): string {
  return `pg_catalog.json_agg(r) as rows from (select t.* from (select) as once left join ${TABLE} as t on true limit ${limit}) as r`;
}

/**
 * Returns the rest of a query for the digest of a ledger, and for its rows: for a single one where the digest is among these.
 * `bundle/overview.ts` makes the digest of the ledger that is wanted. A column that the table lacks is found around it: that
 * of the names, which an older ledger lacks, gives each row the same name, and any other spoils the digest. The rows are in
 * the order of their texts, which begin with their times: nearly the order in which they lie, so that it costs little.
 */
function everyRowUnless(digests: readonly string[]): string {
  return `d.digest, (select ${everyRow(`case when d.digest operator(pg_catalog.=) any ('{${digests.join()}}'::pg_catalog.text[]) then 1 end`)}) as rows
    from (
      select pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.concat(pg_catalog.count(*), '\n', pg_catalog.string_agg(s.x, '\n')), 'UTF8')), 'hex') as digest
      from (
        select r.x from (select '' as created_at, '' as hash, '${NO_NAMES}' as name) as a,
          lateral (select pg_catalog.concat(created_at, ' ', hash, ' ', name) as x from ${TABLE}) as r
        order by r.x collate pg_catalog."C"
      ) as s
    ) as d`;
}

/**
 * Returns the statement that reads a table only where its owner is believed, and otherwise names the stranger.
 * @param table its quoted name
 * @param reading the rest of the query that reads it
 */
export function judged(table: string, reading: string): string {
  return `
    select
      case when j.believed then j.ours end as ours,
      case when not j.believed then j.owner end as stranger,
      case when j.believed and ${may("j.oid", "SELECT")}
        then pg_catalog.query_to_xml(${quoteLiteral(`select ${reading}`)}, false, true, '') end as read
    from (
      select c.oid, pg_catalog.pg_get_userbyid(c.relowner) as owner, ${isOurs("c")} as ours, ${isBelieved("c")} as believed
      from pg_catalog.pg_class c where c.oid operator(pg_catalog.=) pg_catalog.to_regclass(${quoteLiteral(table)})
      offset 0
    ) as j`;
}

/**
 * Asks the question for the ledger again, on an open session, as the role of the session's start.
 * @param options `known` as for `ledgerQuestion`; `beside` another question for the same message. Default: none
 * @returns the answer to each
 */
export async function askForLedger(
  connection: Connection,
  configured: ConfiguredLedger,
  {
    known = [],
    beside = "select",
  }: { readonly known?: readonly (string | null)[]; readonly beside?: string } = {},
): Promise<readonly [ledger: Rows, beside: Rows]> {
  // The message is one transaction: a role that a migration has set for the session is in force again behind it.
  const answers = await connection.batch([
    "set local session authorization default",
    `set local role ${quoteIdentifier(connection.database.role)}`,
    ledgerQuestion(configured, known),
    beside,
  ]);
  return [answers.at(-2) ?? [], answers.at(-1) ?? []];
}

/** The answer for one place. A field is null where there was nothing to ask about. */
export interface Answer {
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
  /** XML with whose the table is, and its rows; without a table: whether the database has none. In a closed schema: whether it has the ledger (`true`) and the checkpoints (`false`). */
  readonly ledger: string | null;
  readonly checkpointsExist: boolean;
  readonly mayReadCheckpoints: boolean | null;
  readonly mayWriteCheckpoints: boolean | null;
  readonly checkpoints: string | null;
  /** See `Home`. */
  readonly history: "open" | "closed" | "shared" | null;
}
