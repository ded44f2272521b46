import type { Connection, Rows } from "../connection/connection.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/names.ts";
import type { ConfiguredLedger, LedgerPlace } from "../target/target.ts";
import { checkpointPlace } from "./checkpoints.ts";
import { placesOf, quotePlace } from "./place.ts";

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
export interface Answer {
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
