import { type ErrorFacts, MigratorError, type Warning } from "../errors.ts";
import { INSUFFICIENT_PRIVILEGE, postgresFacts } from "../postgres/errors.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";
import { checkpointPlace } from "./checkpoints.ts";
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
    `${table} is not accepted as the ledger: it is not a plain table, or its owner ${whose} is neither ${us}, nor a role that ${us} is a member of, nor the owner of the database. Nothing is read from it, and nothing is run with it. If it is the ledger, as its owner: alter table ${table} owner to ${us}; otherwise remove it, or set LEDGER_SCHEMA to a schema of its own.`,
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

/**
 * Makes the error for a role that may not write a ledger in any place.
 * @param cause the server's refusal; undefined where nobody has tried
 */
export function deniedWrite(ledger: Ledger, role: string, cause?: unknown): MigratorError {
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
    `The role ${quoteIdentifier(role)} may not write a ledger, neither in ${ledger.homes.map(({ schema }) => quoteIdentifier(schema)).join(" nor in ")}${wordsIn(cause)}. Nothing is run without one. As the owner of the database: ${grants}`,
    { cause, sqlstate: INSUFFICIENT_PRIVILEGE },
  );
}

/** Makes the error for a repair, which needs more rights than a run: it changes and deletes rows. */
export function deniedAmendment(
  tables: readonly LedgerPlace[],
  role: string,
  cause: unknown,
): MigratorError {
  const names = [...new Set(tables.map(quotePlace))];
  const server = postgresFacts(cause);
  const grants = [...new Set(tables.map((table) => changeGrant(table, role)))];
  return new MigratorError(
    "LEDGER_DENIED",
    `The role ${quoteIdentifier(role)} may not change ${names.join(", ")}${wordsIn(cause)}. Nothing was written. Use the connection string of the role that owns the ledger, or as that role: ${grants.join(" ")}`,
    { cause, sqlstate: INSUFFICIENT_PRIVILEGE, ...(server?.where ? { where: server.where } : {}) },
  );
}

/** Returns PostgreSQL's own words, to be put behind ours. */
function wordsIn(cause: unknown): string {
  const server = postgresFacts(cause);
  return server === null ? "" : `: ${server.message} (${server.sqlstate})`;
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

/**
 * Returns the statements that let a role create a table of ours. The owner of a database is no superuser on Neon, and may
 * not make a schema for a role that it is no member of (`create schema … authorization`, PostgreSQL 16).
 */
export function createGrants(home: Pick<Home, "schema" | "schemaExists">, role: string): string {
  const schema = quoteIdentifier(home.schema);
  const grantee = quoteIdentifier(role);
  const grant = `grant usage, create on schema ${schema} to ${grantee};`;
  return home.schemaExists ? grant : `create schema ${schema}; ${grant}`;
}
