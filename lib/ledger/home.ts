import type { Layout } from "../bundle/bundle.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { postgresFacts } from "../postgres/errors.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";
import { type Checkpoint, checkpointPlace } from "./checkpoints.ts";
import { quotePlace } from "./place.ts";

/** The record of what is applied, as it was read. */
export interface Ledger {
  /** Its one home; where it does not exist yet, the place where Drizzle would create it. */
  readonly place: LedgerPlace;
  readonly exists: boolean;
  /** Which columns it has: `1.0` adds `name` and `applied_at`. */
  readonly format: Layout;
  /** How far the migrations came that are begun and not complete. */
  readonly checkpoints: readonly Checkpoint[];
  /** In the order in which they were written. */
  readonly rows: readonly LedgerRow[];
  readonly warnings: readonly Warning[];
  /** Whether the server would let Drizzle's migrator run its own `CREATE SCHEMA` and `CREATE TABLE`. */
  readonly mayBootstrap: boolean;
  /** Every place that was looked at, the configured one first. */
  readonly homes: readonly Home[];
}

/** One ledger row. */
export interface LedgerRow {
  readonly id: number;
  readonly hash: string;
  /** `created_at`: the journal's `when`, in epoch ms. Null only where somebody wrote it by hand. */
  readonly when: number | null;
  /** Null in the 0.x format. */
  readonly name: string | null;
}

/** A place where a ledger can be, and what our role may do there. */
export interface Home {
  readonly schema: string;
  readonly table: string;
  readonly schemaExists: boolean;
  readonly tableExists: boolean;
  readonly mayCreateSchema: boolean;
  readonly mayCreateTable: boolean;
  readonly mayRead: boolean;
  readonly mayInsert: boolean;
  readonly columns: readonly string[];
  readonly checkpointsExist: boolean;
  readonly mayReadCheckpoints: boolean;
}

/** A ledger table that exists, with its rows. */
export interface FoundLedger {
  readonly home: Home;
  readonly rows: readonly LedgerRow[];
  readonly checkpoints: readonly Checkpoint[];
}

/** The role lacks a right. */
const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * The ledger has one home. Rows in only one place: that is it, even when rights come later. Rows in
 * both, and one contains the other: the larger. Rows that contradict each other: nothing runs.
 * @param homes the configured place first
 * @param layout says which format a ledger gets that does not exist yet
 * @throws MigratorError `LEDGER_SPLIT`
 */
export function chooseHome(
  homes: readonly Home[],
  found: readonly FoundLedger[],
  layout: Layout = "0.x",
): Ledger {
  const [configured] = homes;
  if (configured === undefined) throw new Error("No place for a ledger was looked at.");
  const written = found.filter(
    ({ rows, checkpoints }) => rows.length > 0 || checkpoints.length > 0,
  );
  const [first, second] = written;
  const warnings: Warning[] = [];
  let chosen = first ?? found[0];
  if (first !== undefined && second !== undefined) {
    chosen = larger(first, second);
    const other = chosen === first ? second : first;
    warnings.push({
      code: "LEDGER_DUPLICATE",
      message: `Two ledgers exist, and ${quotePlace(chosen.home)} holds every row of ${quotePlace(other.home)}. The former is used; drop the latter.`,
    });
  }
  const home = chosen?.home ?? configured;
  return {
    place: { schema: home.schema, table: home.table },
    exists: chosen !== undefined,
    format: formatOf(chosen, layout),
    checkpoints: chosen?.checkpoints ?? [],
    rows: chosen?.rows ?? [],
    warnings,
    mayBootstrap: home.mayCreateSchema && (!home.schemaExists || home.mayCreateTable),
    homes,
  };
}

function formatOf(chosen: FoundLedger | undefined, layout: Layout): Layout {
  if (chosen === undefined) return layout;
  return chosen.home.columns.includes("name") ? "1.0" : "0.x";
}

function larger(first: FoundLedger, second: FoundLedger): FoundLedger {
  if (contains(first.rows, second.rows)) return first;
  if (contains(second.rows, first.rows)) return second;
  throw new MigratorError(
    "LEDGER_SPLIT",
    `Two ledgers exist and each holds migrations that the other does not: ${quotePlace(first.home)} (${first.rows.length} rows) and ${quotePlace(second.home)} (${second.rows.length} rows). Nothing was run. If all of these rows are true, "neon-migrate repair --merge-ledgers" moves them into one.`,
  );
}

function contains(whole: readonly LedgerRow[], part: readonly LedgerRow[]): boolean {
  const keys = new Set(whole.map(rowKey));
  return part.every((row) => keys.has(rowKey(row)));
}

function rowKey({ hash, when }: LedgerRow): string {
  return `${when} ${hash}`;
}

/** Where a run writes its ledger rows, and what it must create there first. */
export interface WritePlace {
  readonly place: LedgerPlace;
  readonly createSchema: boolean;
  readonly createTable: boolean;
  readonly format: Layout;
  readonly checkpointsExist: boolean;
}

/**
 * Where our own executor writes: the ledger that exists, else the configured place, else `public`.
 * @throws MigratorError `LEDGER_DENIED` when no place can be written, with the GRANTs that would help
 */
export function chooseWritePlace(ledger: Ledger, role: string): WritePlace {
  const { format } = ledger;
  const at = ({ schema, table, checkpointsExist }: Home) => ({
    place: { schema, table },
    format,
    checkpointsExist,
  });
  if (ledger.exists) {
    const home = ledger.homes.find(({ schema }) => schema === ledger.place.schema);
    if (home?.mayInsert === true) return { ...at(home), createSchema: false, createTable: false };
    throw deniedWrite(ledger, role);
  }
  for (const home of ledger.homes) {
    if (home.schemaExists && home.mayCreateTable) {
      return { ...at(home), createSchema: false, createTable: true };
    }
    if (!home.schemaExists && home.mayCreateSchema) {
      return { ...at(home), createSchema: true, createTable: true };
    }
  }
  throw deniedWrite(ledger, role);
}

/** What was refused: writing the ledger, or the table of checkpoints beside it. */
interface Refused {
  readonly ledger: Ledger;
  readonly role: string;
  readonly kind: string;
}

/** Turns a refusal of our own bookkeeping into what it means; leaves every other error as it is. */
export function explainLedgerError(thrown: unknown, { ledger, role, kind }: Refused): unknown {
  if (!isPrivilegeError(thrown)) return thrown;
  return kind === "checkpoint"
    ? deniedCheckpoints(ledger, role, thrown)
    : deniedWrite(ledger, role, thrown);
}

/** Whether PostgreSQL refused for want of a right. */
export function isPrivilegeError(thrown: unknown): boolean {
  return postgresFacts(thrown)?.sqlstate === INSUFFICIENT_PRIVILEGE;
}

/** The error for a ledger that our role may not even read. */
export function deniedRead(home: Home, role: string): MigratorError {
  return new MigratorError(
    "LEDGER_DENIED",
    `The role ${quoteIdentifier(role)} may not read the ledger ${quotePlace(home)}, so nothing can be said or run. As its owner: ${useGrants(home, role)}`,
  );
}

/** The error for a ledger that looks empty to our role, and need not be: it would all be applied again. */
export function hiddenRows(home: Home, role: string): MigratorError {
  const ledger = quotePlace(home);
  return new MigratorError(
    "LEDGER_DENIED",
    `Row-level security shows the role ${quoteIdentifier(role)} no row of the ledger ${ledger}, whatever is in it, so nothing can be said or run. Use the connection string of the role that owns it, or as its owner: alter table ${ledger} disable row level security;`,
  );
}

function deniedWrite(ledger: Ledger, role: string, cause?: unknown): MigratorError {
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

/** Only what cannot be rolled back needs them, so a role may do without until then. */
function deniedCheckpoints({ place }: Ledger, role: string, cause: unknown): MigratorError {
  const grantee = quoteIdentifier(role);
  const checkpoints = quotePlace(checkpointPlace(place));
  return new MigratorError(
    "LEDGER_DENIED",
    `What is pending cannot be rolled back as a whole, so its progress is kept in ${checkpoints}, and the role ${grantee} may not write there. As its owner: grant usage, create on schema ${quoteIdentifier(place.schema)} to ${grantee}; and, where the table exists already: grant select, insert, update, delete on ${checkpoints} to ${grantee};`,
    { cause, sqlstate: INSUFFICIENT_PRIVILEGE },
  );
}

/** The error for a repair that asks for more rights than a run: changing and deleting rows. */
export function deniedAmendment(
  tables: readonly LedgerPlace[],
  role: string,
  cause: unknown,
): MigratorError {
  const grantee = quoteIdentifier(role);
  const names = [...new Set(tables.map(quotePlace))];
  const grants = names.map(
    (name) => `grant select, insert, update, delete on ${name} to ${grantee};`,
  );
  return new MigratorError(
    "LEDGER_DENIED",
    `The role ${grantee} may not change ${names.join(", ")}. Nothing was written. Use the connection string of the role that owns the ledger, or as that role: ${grants.join(" ")}`,
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

function createGrants(home: Home, role: string): string {
  const schema = quoteIdentifier(home.schema);
  const grantee = quoteIdentifier(role);
  return home.schemaExists
    ? `grant usage, create on schema ${schema} to ${grantee};`
    : `create schema ${schema} authorization ${grantee};`;
}
