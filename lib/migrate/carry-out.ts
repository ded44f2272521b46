import { executePlan, type RunResult, RunTimes } from "../execute/execute-plan.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Plan } from "../plan/plan.ts";
import type { Attempt } from "./attempt.ts";
import { historyOf } from "./history-of.ts";

export { learnFrom, NO_LESSONS } from "../plan/lessons.ts";

/** Carries a plan out, as far as it comes. Returns the failure that stopped it; null without one. */
export async function carryOut(
  self: Attempt,
  plan: Plan,
  ledger: Ledger,
): Promise<RunResult["failure"]> {
  const { request, connection, progress, log, onWait } = self;
  const times = progress.keepsTimes(RunTimes);
  progress.began("preparing the ledger");
  const result = await executePlan(plan, {
    connection,
    ledger,
    history: await historyOf(self),
    lockouts: times.lockouts,
    mayFallBack: request.executor !== "drizzle",
    patience: {
      ...{ lockTimeoutMs: request.ddlLockTimeoutMs, deadline: progress.deadline, log, onWait },
      onLook: (look) => times.saw(look),
      onWatch: (watch) => progress.watched(watch),
    },
    onStart: (soFar) => progress.carriesOut(soFar),
  });
  progress.carriedOut(result);
  return result.failure;
}
