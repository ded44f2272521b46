import type { Layout } from "../bundle/bundle.ts";
import { MigratorError, type Warning } from "../errors.ts";
import type { LedgerPlace } from "../target/target.ts";
import { deniedWrite } from "./denied.ts";
import type { FoundLedger, Home, Ledger, LedgerRow } from "./ledger.ts";
import { quotePlace } from "./place.ts";

/**
 * Chooses the one home of the ledger. Rows in only one place: that place, even if more rights come later. Rows in
 * both places, and one ledger contains the other: the larger. Rows that contradict each other: nothing runs.
 * @param homes the configured place first
 * @param layout the format of a ledger that does not exist yet
 * @throws MigratorError `LEDGER_SPLIT`
 */
export function chooseHome(
  homes: readonly Home[],
  found: readonly FoundLedger[],
  layout: Layout,
): Ledger {
  const [configured] = homes;
  if (configured === undefined) throw new Error("No place for a ledger was looked at.");
  const written = found.filter(isWritten);
  const [first, second] = written;
  const warnings: Warning[] = [];
  let chosen = first ?? found[0];
  if (first !== undefined && second !== undefined) {
    chosen = larger(first, second);
    const other = chosen === first ? second : first;
    warnings.push({
      code: "LEDGER_DUPLICATE",
      message: `Two ledgers exist, and ${quotePlace(chosen.home)} holds every row of ${quotePlace(other.home)}${useOf(other)}`,
    });
  }
  const home = chosen?.home ?? configured;
  return {
    place: { schema: home.schema, table: home.table },
    exists: chosen !== undefined,
    format: formatOf(chosen, layout),
    checkpoints: chosen?.checkpoints ?? [],
    rows: chosen?.rows ?? [],
    isComplete: chosen?.isComplete ?? false,
    warnings,
    mayBootstrap: home.mayCreateSchema && (!home.schemaExists || home.mayCreateTable),
    homes,
  };
}

/** Nobody shall drop a table that has rows of another project, too. */
function useOf(other: FoundLedger): string {
  return ownRows(other).length === other.rows.length
    ? ". The former is used; drop the latter."
    : " that is of this folder. The former is used; the latter has other rows, too.";
}

/** Whether a run has left something in it. */
export function isWritten({ rows, isComplete, checkpoints }: FoundLedger): boolean {
  return isComplete === true || rows.length > 0 || checkpoints.length > 0;
}

/** Returns the rows that are surely of this folder. */
export function ownRows({ rows, explained }: FoundLedger): readonly LedgerRow[] {
  return explained ?? rows;
}

function formatOf(chosen: FoundLedger | undefined, layout: Layout): Layout {
  if (chosen === undefined) return layout;
  return chosen.home.columns.includes("name") ? "1.0" : "0.x";
}

function larger(first: FoundLedger, second: FoundLedger): FoundLedger {
  if (contains(first.rows, ownRows(second))) return first;
  if (contains(second.rows, ownRows(first))) return second;
  throw new MigratorError(
    "LEDGER_SPLIT",
    `Two ledgers exist and each holds migrations that the other does not: ${quotePlace(first.home)} (${first.rows.length} rows) and ${quotePlace(second.home)} (${ownRows(second).length} rows of this folder). Nothing is run with two. If all of these rows are true, "neon-migrate repair --merge-ledgers" moves them into one.`,
  );
}

function contains(whole: readonly LedgerRow[], part: readonly LedgerRow[]): boolean {
  const keys = new Set(whole.map(rowKey));
  return part.every((row) => keys.has(rowKey(row)));
}

/** Returns the key of a ledger row, and of the migration that would write such a row. */
export function rowKey({ when, hash }: Pick<LedgerRow, "when" | "hash">): string {
  return `${when} ${hash}`;
}

/** The place where a run writes its ledger rows, with the parts that the run must create there first. */
export interface WritePlace {
  readonly place: LedgerPlace;
  readonly createSchema: boolean;
  readonly createTable: boolean;
  readonly format: Layout;
  readonly checkpointsExist: boolean;
  /** Whether our role may lock the ledger against writers. As the owner of a table that it makes, it may. */
  readonly mayLock: boolean;
}

/**
 * Chooses the place where our own executor writes: the ledger that exists, else the configured place, else `public`.
 * @param refused places that the server has refused, although the rights are there
 * @throws MigratorError `LEDGER_DENIED` when the role may write in no place, with the GRANTs that would help
 */
export function chooseWritePlace(
  ledger: Ledger,
  role: string,
  refused: readonly LedgerPlace[] = [],
): WritePlace {
  const { format } = ledger;
  const at = ({ schema, table, checkpointsExist }: Home) => ({
    place: { schema, table },
    format,
    checkpointsExist,
  });
  if (ledger.exists) {
    const home = ledger.homes.find(({ schema }) => schema === ledger.place.schema);
    if (home?.mayInsert === true && home.mayCount) {
      return { ...at(home), createSchema: false, createTable: false, mayLock: home.mayLock };
    }
    throw deniedWrite(ledger, role);
  }
  // A table that stands in a place already was not taken for the ledger.
  const free = ledger.homes.filter(
    ({ tableExists, schema }) => !tableExists && !refused.some((each) => each.schema === schema),
  );
  for (const home of free) {
    if (home.schemaExists && home.mayCreateTable) {
      return { ...at(home), createSchema: false, createTable: true, mayLock: true };
    }
    if (!home.schemaExists && home.mayCreateSchema) {
      return { ...at(home), createSchema: true, createTable: true, mayLock: true };
    }
  }
  throw deniedWrite(ledger, role);
}
