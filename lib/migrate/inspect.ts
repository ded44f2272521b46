import { type Step, slicesOf } from "../bundle/steps.ts";
import { toError } from "../errors.ts";
import { gradedFindings } from "../grade/grade-findings.ts";
import { historyQuestion, readHistory } from "../history/read.ts";
import type { Plan } from "../plan/plan.ts";
import type { ReportedStep } from "../report/report.ts";
import type { Request } from "../request.ts";
import type { Target } from "../target/target.ts";
import { answerStatus } from "./answer-status.ts";
import type { Attempt, Status } from "./attempt.ts";
import { meetDatabase } from "./contact.ts";
import { makePlan } from "./make-plan.ts";

/** Returns the questions that go out with the login beside those of every run. */
export function ownQuestions(
  { action }: Request,
  { ledger }: Target,
): { readonly history: string } {
  return { history: action === "status" ? historyQuestion(ledger) : "select" };
}

/**
 * Answers `plan` and `status`: takes no lock and writes nothing.
 * @throws MigratorError where a policy forbids what is planned
 */
export async function inspect(
  self: Attempt<"ledger" | "restorePoint" | "history">,
): Promise<Status> {
  const { request, connection, progress } = self;
  const { ledger: answer, restorePoint, history } = connection.opening;
  const planned = await progress.planned(() => makePlan(self, answer), restorePoint);
  const { plan, ledger } = planned;
  await meetDatabase(self, planned);
  if (request.action === "status") {
    await answerStatus(self, { plan, ledger }, readHistory(history));
  } else {
    progress.answered({ steps: plan.steps.map(describeStep) });
    if (plan.refusal !== null) throw plan.refusal;
    await gradeFindings(self, plan);
  }
  if (plan.executor === "drizzle" && !ledger.mayBootstrap) {
    progress.fallsBack("schema-creation-blocked");
  }
  return plan.pending.length === 0 ? "up-to-date" : "planned";
}

function describeStep(step: Step): ReportedStep {
  return {
    kind: step.kind,
    slices: slicesOf(step).map(({ migration, statements }) => ({
      migration: migration.tag,
      statements: statements.map((index) => index + 1),
    })),
  };
}

/** Grades the findings. Nothing about findings fails a run: without an answer they stand as they are. */
async function gradeFindings({ connection, progress }: Attempt, plan: Plan): Promise<void> {
  progress.began("grading findings");
  try {
    progress.graded(await gradedFindings(connection, plan));
  } catch (thrown) {
    const message = `How dangerous what is pending is for this database is not known (${toError(thrown).message}): its findings go by the texts alone. Plan again.`;
    progress.warned([{ code: "CATALOG_UNREAD", message }]);
  }
}
