import { MigratorError } from "../errors.ts";
import { changeGrant, createGrants } from "../ledger/denied.ts";
import { quotePlace } from "../ledger/place.ts";
import { INSUFFICIENT_PRIVILEGE, postgresFacts } from "../postgres/errors.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import type { RunsHome } from "./home.ts";

/** The table has no such column, or one of another type. */
const OTHER_COLUMNS: readonly unknown[] = ["42703", "42804", "42883"];

/** The error for a table of runs that our role may not use, with the GRANTs that would help. */
export function deniedRuns(
  homes: readonly RunsHome[],
  role: string,
  cause?: unknown,
): MigratorError {
  const home = homes.find(({ exists }) => exists) ?? homes[0];
  if (home === undefined) throw new Error("No place for the table of runs was looked at.");
  if (home.exists && !home.believed) return foreignRuns(home, role);
  const places = [...new Set(homes.map(quotePlace))].join(" nor in ");
  return new MigratorError(
    "LEDGER_DENIED",
    `A run that outlives its call is written down beside the ledger, and the role ${quoteIdentifier(role)} may not do that, neither in ${places}. As its owner: ${grants(home, role)}`,
    { cause, sqlstate: INSUFFICIENT_PRIVILEGE },
  );
}

/** A GRANT would not help: our role does not touch what such an owner has made. */
function foreignRuns(home: RunsHome, role: string): MigratorError {
  const [table, owner] = [quotePlace(home), quoteIdentifier(home.owner ?? "")];
  return new MigratorError(
    "LEDGER_FOREIGN",
    `A run that outlives its call is written down in ${table}, which is not accepted: it is not a plain table, or its owner ${owner} is no role of ${quoteIdentifier(role)}. Nothing of it was read, and nothing was run. Remove or rename it; the next run that outlives its call creates it.`,
  );
}

function grants(home: RunsHome, role: string): string {
  if (!home.exists) return createGrants(home, role);
  return `grant usage on schema ${quoteIdentifier(home.schema)} to ${quoteIdentifier(role)}; ${changeGrant(home, role)}`;
}

/** Turns a refusal of our own bookkeeping into what it means; leaves every other error as it is. */
export function explainRefusal(thrown: unknown, homes: readonly RunsHome[], role: string): unknown {
  const server = postgresFacts(thrown);
  if (server?.sqlstate === INSUFFICIENT_PRIVILEGE) return deniedRuns(homes, role, thrown);
  if (!OTHER_COLUMNS.includes(server?.sqlstate)) return thrown;
  const found = homes.filter(({ exists }) => exists).map(quotePlace);
  return new MigratorError(
    "LEDGER_UNKNOWN_FORMAT",
    `The table of runs (${found.join(", ")}) is another one: ${server?.message}. Drop or rename it; the next run that outlives its call creates it.`,
    { cause: thrown, sqlstate: String(server?.sqlstate) },
  );
}
