import type { Rows } from "../connection/connection.ts";
import { MigratorError } from "../errors.ts";
import { elsewhereQuestion, readElsewhere } from "../ledger/elsewhere.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { quotePlace } from "../ledger/place.ts";
import {
  type FirstTable,
  firstTables,
  judgeTables,
  notBaselined,
  tablesQuestion,
} from "../plan/first-tables.ts";
import type { Attempt } from "./attempt.ts";
import type { Planned } from "./make-plan.ts";

export { withAdvice } from "../plan/first-tables.ts";

/**
 * Looks whether a database in whose ledger nothing of this folder is has it all the same: in a ledger with another name, or
 * without one. Costs a round trip, in such a database alone.
 * @throws MigratorError `LEDGER_ELSEWHERE`, and but for `status` `NOT_BASELINED`
 */
export async function lookAround(
  { connection, bundle, target, request, progress }: Attempt,
  { ledger }: Planned,
): Promise<void> {
  progress.began("looking whether the migrations are applied already");
  const tables = firstTables(bundle);
  const [ledgers = [], there = []] = await connection.batch([
    elsewhereQuestion(),
    tablesQuestion(tables),
  ]);
  progress.warned(readElsewhere(ledgers, target.ledger, bundle));
  const judged = judgeTables(tables, presentIn(tables, there), inWords(ledger));
  if (judged === null) return;
  if (judged.complete && request.action !== "status") throw notBaselined(judged.warning);
  progress.warned([judged.warning]);
}

/** Makes the error of a request for another database than the one that is given with it. */
export function misdirected(): MigratorError {
  return new MigratorError(
    "REQUEST_INVALID",
    "The request names a target, which only the deployed function looks for. Resolve it, and give it as the dependency target.",
  );
}

function presentIn(tables: readonly FirstTable[], there: Rows): ReadonlySet<FirstTable> {
  const ranks = new Set(there.map(({ rank }) => rank));
  return new Set(tables.filter((_table, index) => ranks.has(index + 1)));
}

function inWords({ exists, rows, place }: Ledger): string {
  if (!exists) return "no ledger";
  return `its ledger ${quotePlace(place)} ${rows.length === 0 ? "is empty" : "has no row of this folder"}`;
}
