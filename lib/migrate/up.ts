import type { Rows } from "../connection/connection.ts";
import { executePlan, type RunResult } from "../execute/execute-plan.ts";
import { readOnly } from "../ledger/denied.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { acquireLock, readLockAnswer } from "../ledger/lock.ts";
import { refusePooler } from "../ledger/pooler.ts";
import { askForLedger } from "../ledger/read.ts";
import { learnFrom, NO_LESSONS } from "../plan/lessons.ts";
import type { Plan } from "../plan/plan.ts";
import type { Attempt, Status } from "./attempt.ts";
import { makePlan, type Planned } from "./make-plan.ts";

/**
 * Takes the lock, plans, and carries the plan out.
 * @throws MigratorError for every failure
 */
export async function up(self: Attempt<"lock" | "ledger">): Promise<Status> {
  const { progress } = self;
  const { ledger, plan } = await planUnderLock(self);
  if (plan.pending.length > 0) {
    await progress.timed("executeMs", () => execute(self, plan, ledger));
  }
  return progress.hasApplied ? "applied" : "up-to-date";
}

/**
 * Plans by a ledger that was read while the lock was ours, so that the plan cannot be stale. The table in
 * `ledger/lock.ts` draws the ways that lead there.
 */
async function planUnderLock(self: Attempt<"lock" | "ledger">): Promise<Planned> {
  const { connection, progress } = self;
  const lock = readLockAnswer(connection.opening.lock);
  const first = lock === "taken" ? null : planFrom(self, connection.opening.ledger);
  if (first?.plan.pending.length === 0) return first;
  progress.began("looking for a pooler on the way");
  await refusePooler(connection);
  if (first !== null && lock === "kept") return first;
  return planFrom(self, await readUnderLock(self));
}

/** Plans by this answer about the ledger. @throws MigratorError where nothing of the plan may be carried out */
function planFrom(self: Attempt, answer: Rows): Planned {
  const { connection, progress } = self;
  const planned = progress.planned(() => makePlan(self, answer));
  const { applied, pending, refusal } = planned.plan;
  progress.recovered(applied);
  if (refusal !== null) throw refusal;
  if (pending.length > 0 && connection.readOnly) {
    throw readOnly(
      `Migrations are pending, but ${connection.database.host} is read-only: it is a replica, or the role's transactions are read-only.`,
    );
  }
  return planned;
}

/** Waits for the lock, and then asks for the ledger. */
async function readUnderLock(self: Attempt): Promise<Rows> {
  const { connection, request, target, progress, log } = self;
  progress.began("waiting for the migration lock");
  const options = {
    ...{ timeoutMs: request.lockTimeoutMs, deadline: progress.deadline, log },
    onHolder: (holder: string) => progress.began(`waiting for the migration lock of ${holder}`),
  };
  const warnings = await progress.timed("lockMs", () =>
    acquireLock(connection, target.ledger, options),
  );
  progress.warned(warnings);
  progress.began("reading the ledger");
  return await askForLedger(connection, target.ledger);
}

/** Carries the plan out. A statement may need another place than its text says: where the server shows that, plans again. */
async function execute(self: Attempt, first: Plan, firstLedger: Ledger): Promise<void> {
  const { bundle, connection, log, progress, target } = self;
  let plan = first;
  let ledger = firstLedger;
  let lessons = NO_LESSONS;
  for (;;) {
    const failure = await carryOut(self, plan, ledger);
    if (failure === null) return;
    const learned = learnFrom(bundle, failure.thrown, lessons, plan.steps);
    if (learned === null) throw failure.thrown;
    lessons = learned;
    log("plan.again", { ...lessons });
    progress.began("planning once more");
    const answer = await askForLedger(connection, target.ledger);
    const again = progress.planned(() => makePlan(self, answer, learned));
    ledger = again.ledger;
    // The reason is that of the first plan: this run has itself left something half done since.
    plan = { ...again.plan, executorReason: first.executorReason ?? again.plan.executorReason };
    if (plan.refusal !== null) throw failure.thrown;
  }
}

async function carryOut(
  { request, connection, progress, log }: Attempt,
  plan: Plan,
  ledger: Ledger,
): Promise<RunResult["failure"]> {
  progress.began("preparing the ledger");
  const result = await executePlan(plan, {
    connection,
    ledger,
    mayFallBack: request.executor !== "drizzle",
    patience: {
      ...{ lockTimeoutMs: request.ddlLockTimeoutMs, deadline: progress.deadline, log },
      onWatch: (blockers) => progress.watched(blockers),
    },
    onStart: (soFar) => progress.carriesOut(soFar),
  });
  progress.carriedOut(result);
  return result.failure;
}
