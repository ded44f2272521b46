import type { Rows } from "../connection/connection.ts";
import { pendingFindings } from "../grade/grade-findings.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { readLedger } from "../ledger/read.ts";
import { type Lessons, NO_LESSONS } from "../plan/lessons.ts";
import type { Plan } from "../plan/plan.ts";
import { planMigrations } from "../plan/plan-migrations.ts";
import { describePending } from "../report/report.ts";
import type { Attempt } from "./attempt.ts";

/** What is to be done, and the ledger that it was read from. */
export interface Planned {
  readonly ledger: Ledger;
  readonly plan: Plan;
}

/** Plans by what the server has answered about the ledger, and keeps the plan in the facts of the run. */
export function makePlan(
  { bundle, connection, progress, request }: Attempt,
  answer: Rows,
  lessons: Lessons = NO_LESSONS,
): Planned {
  const started = Date.now();
  const ledger = readLedger(answer, connection.database.role, bundle.layout);
  const plan = planMigrations(bundle, ledger, request, lessons);
  const { executor, executorReason, atomic, drift } = plan;
  for (const { code, message } of [...ledger.warnings, ...plan.warnings])
    progress.warn(code, message);
  progress.timings = { ...progress.timings, planMs: Date.now() - started };
  progress.facts = {
    ...progress.facts,
    ledger: { ...ledger.place, format: ledger.format },
    executor,
    executorReason,
    atomic,
    drift,
    latest: plan.applied.at(-1)?.tag ?? null,
    pending: plan.pending.map(({ migration, reasons, checkpoint }) =>
      describePending(migration, reasons, checkpoint?.done ?? 0),
    ),
    // What was pending when the run began: an attempt that goes on after another has less before it.
    findings: progress.facts.findings ?? pendingFindings(plan),
  };
  return { ledger, plan };
}
