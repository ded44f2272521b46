import { toError } from "../errors.ts";
import { describeApplied } from "../execute/executor.ts";
import { gradedFindings } from "../grade/grade-findings.ts";
import type { Plan } from "../plan/plan.ts";
import type { Attempt, Status } from "./attempt.ts";
import { makePlan } from "./make-plan.ts";

/**
 * Answers `plan` and `status`: takes no lock and writes nothing.
 * @throws MigratorError where a policy forbids what is planned
 */
export async function inspect(self: Attempt<"ledger">): Promise<Status> {
  const { request, connection, progress } = self;
  const { plan, ledger } = makePlan(self, connection.opening.ledger);
  if (request.action === "status") {
    const applied = plan.applied.map((migration) => describeApplied(migration, null));
    progress.facts = { ...progress.facts, applied };
  } else {
    if (plan.refusal !== null) throw plan.refusal;
    await gradeFindings(self, plan);
  }
  if (plan.executor === "drizzle" && !ledger.mayBootstrap) {
    const executorReason = "schema-creation-blocked";
    progress.facts = { ...progress.facts, executor: "statements", executorReason };
  }
  return plan.pending.length === 0 ? "up-to-date" : "planned";
}

/** Nothing about findings fails a run: without an answer they stand as they are. */
async function gradeFindings({ connection, progress }: Attempt, plan: Plan): Promise<void> {
  progress.doing = "grading findings";
  try {
    const findings = await gradedFindings(connection, plan);
    progress.facts = { ...progress.facts, findings };
  } catch (thrown) {
    progress.warn(
      "CATALOG_UNREAD",
      `How dangerous what is pending is for this database is not known (${toError(thrown).message}): its findings go by the texts alone. Plan again.`,
    );
  }
}
