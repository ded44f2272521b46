import type { Migration } from "../bundle/bundle.ts";
import { type ErrorFacts, MigratorError, type Warning } from "../errors.ts";
import { INSUFFICIENT_PRIVILEGE, type PostgresFacts, postgresFacts } from "../postgres/errors.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";
import { checkpointPlace } from "./checkpoints.ts";
import { explainGuard } from "./guard.ts";
import type { Home, Ledger } from "./ledger.ts";
import { quotePlace } from "./place.ts";

/*
 * Denied: the errors for a role or a session that lacks a right. A refusal of the server, or a right that its catalog
 * denies, comes in. An error goes out, with the GRANTs that help. Nothing here sends a statement.
 */

/**
 * Makes the error for a session that cannot write.
 * @param sentence names the write that was not possible, and its place
 */
export function readOnly(sentence: string, facts: ErrorFacts = {}): MigratorError {
  return new MigratorError("READ_ONLY", `${sentence} Use the primary's host.`, facts);
}

/** A refusal of our own bookkeeping: writing the ledger, or the table of checkpoints beside it. */
interface Refused {
  readonly ledger: Ledger;
  readonly role: string;
  readonly kind: string;
  /** The place of the ledger that the transaction writes. */
  readonly place: LedgerPlace;
  /** The migrations whose rows it writes. */
  readonly written: readonly Migration[];
}

/**
 * Turns a refusal of our own bookkeeping into an error that says what is missing. Leaves every other error as it is.
 */
export function explainLedgerError(thrown: unknown, refused: Refused): unknown {
  const { ledger, role, kind, place, written } = refused;
  if (kind === "guard") return explainGuard(thrown, place, written);
  const server = postgresFacts(thrown);
  if (server === null) return thrown;
  if (kind === "ledger-row" && server.sqlstate === UNIQUE_VIOLATION) {
    return behindItsRows(place, server, thrown);
  }
  if (server.sqlstate !== INSUFFICIENT_PRIVILEGE) return thrown;
  const home = ledger.homes.find(({ schema }) => schema === place.schema);
  const mayCheckpoint = home?.checkpointsExist ? home.mayWriteCheckpoints : home?.mayCreateTable;
  return kind === "checkpoint" && home !== undefined && mayCheckpoint !== true
    ? deniedCheckpoints(home, role, server, thrown)
    : refusedByOthers(place, role, server, thrown);
}

/** The ids of a ledger are unique: its sequence has given one that a row has already. */
const UNIQUE_VIOLATION = "23505";

/** Sequences are not replicated, and a copy of the rows leaves them behind. */
function behindItsRows(place: LedgerPlace, server: PostgresFacts, cause: unknown): unknown {
  if (server.detail?.includes("(id)=(") !== true) return cause;
  const ledger = quotePlace(place);
  return new MigratorError(
    "LEDGER_UNWRITABLE",
    `The sequence that gives the rows of the ledger ${ledger} their ids is behind the rows: ${server.message} (${server.sqlstate}). Sequences are not replicated. The transaction is rolled back. As the ledger's owner: select setval(pg_get_serial_sequence(${quoteLiteral(ledger)}, 'id'), (select max(id) from ${ledger})); then run again.`,
    { cause, ...wordsOf(server) },
  );
}

/** Makes the error for a refusal where the catalog says that our role has every right. */
function refusedByOthers(
  place: LedgerPlace,
  role: string,
  server: PostgresFacts,
  cause: unknown,
): MigratorError {
  return new MigratorError(
    "LEDGER_UNWRITABLE",
    `The ledger ${quotePlace(place)} could not be prepared or written: ${server.message} (${server.sqlstate}). By the catalog the role ${quoteIdentifier(role)} has the rights that this takes, so something else refused it: an event trigger, a trigger, or a row-level security policy. The transaction is rolled back.`,
    { cause, ...wordsOf(server) },
  );
}

/** PostgreSQL's own words, for the facts of an error. */
function wordsOf({ sqlstate, detail, hint, where }: PostgresFacts): ErrorFacts {
  return {
    sqlstate,
    ...(detail === null ? {} : { detail }),
    ...(hint === null ? {} : { hint }),
    ...(where === null ? {} : { where }),
  };
}

/** Whether PostgreSQL refused a statement because the role lacks a right. */
export function isPrivilegeError(thrown: unknown): boolean {
  return postgresFacts(thrown)?.sqlstate === INSUFFICIENT_PRIVILEGE;
}

/** Makes the error for a ledger that our role may not even read. */
export function deniedRead(home: Home, role: string): MigratorError {
  return new MigratorError(
    "LEDGER_DENIED",
    `The role ${quoteIdentifier(role)} may not read the ledger ${quotePlace(home)}, so nothing can be said or run. As its owner: ${useGrants(home, role)}`,
  );
}

/**
 * Makes the error for a ledger that looks empty to our role and may not be empty: a run would apply everything again.
 */
export function hiddenRows(home: Home, role: string): MigratorError {
  const ledger = quotePlace(home);
  return new MigratorError(
    "LEDGER_DENIED",
    `Row-level security shows the role ${quoteIdentifier(role)} no row of the ledger ${ledger}, whatever is in it, so nothing can be said or run. Use the connection string of the role that owns it, or as its owner: alter table ${ledger} disable row level security;`,
  );
}

/** Makes the error for a table in the ledger's place that is not believed. */
export function foreign(place: LedgerPlace, owner: string | null, role: string): MigratorError {
  const table = quotePlace(place);
  const [whose, us] = [owner ?? "", role].map(quoteIdentifier);
  return new MigratorError(
    "LEDGER_FOREIGN",
    `${table} is not believed to be the ledger: it is no plain table, or its owner ${whose} is neither ${us}, nor a role that ${us} is a member of, nor the owner of the database. Nothing of it was read, and nothing was run. If it is the ledger, as its owner: alter table ${table} owner to ${us}; otherwise remove it, or set LEDGER_SCHEMA to a schema of its own.`,
  );
}

/** Makes the warning for a table in the fallback place that is not taken for the ledger. */
export function notAdopted(home: Home): Warning {
  const table = quotePlace(home);
  return {
    code: "LEDGER_NOT_ADOPTED",
    message: `The table ${table} exists, and is not taken for the ledger: it is no ledger of ours, or no row of it belongs to a migration of this folder. If it is the ledger, set LEDGER_SCHEMA to ${home.schema}.`,
  };
}

/** Makes the error for a role that may not write a ledger in any place. */
export function deniedWrite(ledger: Ledger, role: string): MigratorError {
  const [configured] = ledger.homes;
  const home = ledger.exists
    ? ledger.homes.find(({ schema }) => schema === ledger.place.schema)
    : undefined;
  const grants = home
    ? useGrants(home, role)
    : configured === undefined
      ? ""
      : createGrants(configured, role);
  return new MigratorError(
    "LEDGER_DENIED",
    `The role ${quoteIdentifier(role)} may not write a ledger, neither in ${ledger.homes.map(({ schema }) => quoteIdentifier(schema)).join(" nor in ")}. Nothing was run. As the owner of the database: ${grants}`,
    { sqlstate: INSUFFICIENT_PRIVILEGE },
  );
}

/**
 * Makes the error for a role that may not write checkpoints. Only migrations that cannot be rolled back need them, so
 * a role may do without this right until then.
 */
function deniedCheckpoints(
  home: Home,
  role: string,
  server: PostgresFacts,
  cause: unknown,
): MigratorError {
  const checkpoints = checkpointPlace(home);
  const grant = home.checkpointsExist ? changeGrant(checkpoints, role) : createGrants(home, role);
  return new MigratorError(
    "LEDGER_DENIED",
    `What is pending cannot be rolled back as a whole, so its progress is kept in ${quotePlace(checkpoints)}, and the role ${quoteIdentifier(role)} may not write there: ${server.message} (${server.sqlstate}). As its owner: ${grant}`,
    { cause, ...wordsOf(server) },
  );
}

/** Makes the error for a repair, which needs more rights than a run: it changes and deletes rows. */
export function deniedAmendment(
  tables: readonly LedgerPlace[],
  role: string,
  cause: unknown,
): MigratorError {
  const names = [...new Set(tables.map(quotePlace))];
  const grants = [...new Set(tables.map((table) => changeGrant(table, role)))];
  return new MigratorError(
    "LEDGER_DENIED",
    `The role ${quoteIdentifier(role)} may not change ${names.join(", ")}. Nothing was written. Use the connection string of the role that owns the ledger, or as that role: ${grants.join(" ")}`,
    { cause, sqlstate: INSUFFICIENT_PRIVILEGE },
  );
}

/** Returns the GRANTs that the catalog says are missing. In a schema that is closed to us it says of none. */
function useGrants(home: Home, role: string): string {
  const { schema, table, mayUse } = home;
  const to = `to ${quoteIdentifier(role)};`;
  const sequence = quotePlace({ schema, table: `${table}_id_seq` });
  const mayRows = home.mayRead && home.mayInsert;
  const mayCheckpoint = home.mayReadCheckpoints && home.mayWriteCheckpoints;
  return [
    ...(mayUse ? [] : [`grant usage on schema ${quoteIdentifier(schema)} ${to}`]),
    ...(mayUse && mayRows ? [] : [`grant select, insert on ${quotePlace(home)} ${to}`]),
    ...(mayUse && mayRows && home.mayCount ? [] : [`grant usage on sequence ${sequence} ${to}`]),
    ...(!home.checkpointsExist || mayCheckpoint ? [] : [changeGrant(checkpointPlace(home), role)]),
  ].join(" ");
}

/** Returns the GRANT of every right to a table's rows. */
export function changeGrant(table: LedgerPlace, role: string): string {
  return `grant select, insert, update, delete on ${quotePlace(table)} to ${quoteIdentifier(role)};`;
}

/** Returns the statement that lets a role create a table of ours. */
export function createGrants(home: Pick<Home, "schema" | "schemaExists">, role: string): string {
  const schema = quoteIdentifier(home.schema);
  const grantee = quoteIdentifier(role);
  return home.schemaExists
    ? `grant usage, create on schema ${schema} to ${grantee};`
    : `create schema ${schema} authorization ${grantee};`;
}
