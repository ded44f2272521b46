import type { Bundle } from "../bundle/bundle.ts";
import { overviewOf } from "../bundle/overview.ts";
import type { Rows } from "../connection/connection.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { readLedger } from "../ledger/read.ts";
import type { Lessons } from "../plan/lessons.ts";
import { nothingToDo } from "../plan/nothing-to-do.ts";
import type { Plan } from "../plan/plan.ts";
import type { Request } from "../request.ts";

/** The plan, and the ledger that it was made from. */
export interface Planned {
  readonly ledger: Ledger;
  readonly plan: Plan;
}

/** The material of a plan. */
interface PlanMaterial {
  readonly bundle: Bundle;
  readonly request: Request;
  readonly connection: {
    readonly database: { readonly role: string; readonly serverVersion: string };
  };
}

/** Returns the digests of the ledgers with which nothing is pending, and no question is left. */
export function knownOf(bundle: Bundle): readonly (string | null)[] {
  return Object.values(overviewOf(bundle).complete);
}

/**
 * Plans by the server's answer about the ledger.
 * @throws MigratorError as `readLedger`
 */
export async function makePlan(
  { bundle, request, connection }: PlanMaterial,
  answer: Rows,
  lessons?: Lessons,
): Promise<Planned> {
  const { role, serverVersion } = connection.database;
  const ledger = readLedger(answer, role, bundle);
  if (ledger.isComplete === true) return { ledger, plan: nothingToDo(bundle) };
  const { planMigrations } = await import("../plan/plan-migrations.ts");
  const serverMajor = Number.parseInt(serverVersion, 10);
  const known = { lessons, serverMajor, now: Date.now() };
  return { ledger, plan: planMigrations(bundle, ledger, request, known) };
}
