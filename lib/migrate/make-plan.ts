import type { Bundle } from "../bundle/bundle.ts";
import type { Rows } from "../connection/connection.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { readLedger } from "../ledger/read.ts";
import { type Lessons, NO_LESSONS } from "../plan/lessons.ts";
import type { Plan } from "../plan/plan.ts";
import { planMigrations } from "../plan/plan-migrations.ts";
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

/**
 * Plans by the server's answer about the ledger.
 * @throws MigratorError as `readLedger`
 */
export function makePlan(
  { bundle, request, connection }: PlanMaterial,
  answer: Rows,
  lessons: Lessons = NO_LESSONS,
): Planned {
  const { role, serverVersion } = connection.database;
  const ledger = readLedger(answer, role, bundle);
  const serverMajor = Number.parseInt(serverVersion, 10);
  const known = { lessons, serverMajor, now: Date.now() };
  return { ledger, plan: planMigrations(bundle, ledger, request, known) };
}
