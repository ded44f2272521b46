import type { Migration } from "../bundle/bundle.ts";
import { type ErrorFacts, MigratorError, type Warning } from "../errors.ts";
import { INSUFFICIENT_PRIVILEGE, postgresFacts } from "../postgres/errors.ts";
import { quoteIdentifier } from "../postgres/names.ts";
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
  if (!isPrivilegeError(thrown)) return thrown;
  return kind === "checkpoint"
    ? deniedCheckpoints(ledger, role, thrown)
    : deniedWrite(ledger, role, thrown);
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
export function deniedWrite(ledger: Ledger, role: string, cause?: unknown): MigratorError {
  const [configured] = ledger.homes;
  const grants =
    ledger.exists || configured === undefined
      ? useGrants(ledger.place, role)
      : createGrants(configured, role);
  return new MigratorError(
    "LEDGER_DENIED",
    `The role ${quoteIdentifier(role)} may not write a ledger, neither in ${ledger.homes.map(({ schema }) => quoteIdentifier(schema)).join(" nor in ")}. Nothing was run. As the owner of the database: ${grants}`,
    { cause, sqlstate: INSUFFICIENT_PRIVILEGE },
  );
}

/**
 * Makes the error for a role that may not write checkpoints. Only migrations that cannot be rolled back need them, so
 * a role may do without this right until then.
 */
function deniedCheckpoints({ place }: Ledger, role: string, cause: unknown): MigratorError {
  const grantee = quoteIdentifier(role);
  const checkpoints = checkpointPlace(place);
  return new MigratorError(
    "LEDGER_DENIED",
    `What is pending cannot be rolled back as a whole, so its progress is kept in ${quotePlace(checkpoints)}, and the role ${grantee} may not write there. As its owner: ${createGrants({ ...place, schemaExists: true }, role)} and, where the table exists already: ${changeGrant(checkpoints, role)}`,
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
  const grants = [...new Set(tables.map((table) => changeGrant(table, role)))];
  return new MigratorError(
    "LEDGER_DENIED",
    `The role ${quoteIdentifier(role)} may not change ${names.join(", ")}. Nothing was written. Use the connection string of the role that owns the ledger, or as that role: ${grants.join(" ")}`,
    { cause, sqlstate: INSUFFICIENT_PRIVILEGE },
  );
}

function useGrants(place: LedgerPlace, role: string): string {
  const grantee = quoteIdentifier(role);
  const sequence = quotePlace({ schema: place.schema, table: `${place.table}_id_seq` });
  return [
    `grant usage on schema ${quoteIdentifier(place.schema)} to ${grantee};`,
    `grant select, insert on ${quotePlace(place)} to ${grantee};`,
    `grant usage on sequence ${sequence} to ${grantee};`,
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
