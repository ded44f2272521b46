import type { Rows } from "../connection/connection.ts";
import { type RunResult, runMigrations } from "../execute/execute-plan.ts";
import { describeApplied } from "../execute/executor.ts";
import { readOnly } from "../ledger/denied.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { acquireLock } from "../ledger/lock.ts";
import { refusePooler } from "../ledger/pooler.ts";
import { askForLedger } from "../ledger/read.ts";
import { learnFrom, NO_LESSONS } from "../plan/lessons.ts";
import type { Plan } from "../plan/plan.ts";
import type { Attempt, Status } from "./attempt.ts";
import { makePlan, type Planned } from "./make-plan.ts";
import { type Progress, timed } from "./progress.ts";

/**
 * Takes the lock, plans, and carries the plan out.
 * @throws MigratorError for every failure
 */
export async function up(self: Attempt<"lock" | "ledger">): Promise<Status> {
  const { progress } = self;
  const { ledger, plan } = await planUnderLock(self);
  if (plan.pending.length > 0) {
    await timed(progress, "executeMs", () => execute(self, plan, ledger));
  }
  return progress.facts.applied.length > 0 ? "applied" : "up-to-date";
}

/**
 * The ledger is read under the lock, so that the plan cannot be stale. A lock that does not outlast the
 * first message is enough to see that nothing is pending; for more it is taken again, and the ledger read again.
 */
async function planUnderLock(self: Attempt<"lock" | "ledger">): Promise<Planned> {
  const { connection, progress } = self;
  const { lock, ledger } = connection.opening;
  const { locked, lasting } = lock[0] ?? {};
  const first = locked === true ? decide(self, ledger) : null;
  if (first?.plan.pending.length === 0) return first;
  progress.doing = "looking for a pooler on the way";
  await refusePooler(connection);
  if (first !== null && lasting === true) return first;
  return decide(self, await waitForLock(self));
}

function decide(self: Attempt, answer: Rows): Planned {
  const { connection, progress } = self;
  const planned = makePlan(self, answer);
  recoverDoubtful(planned.plan, progress);
  if (planned.plan.refusal !== null) throw planned.plan.refusal;
  if (planned.plan.pending.length > 0 && connection.readOnly) {
    throw readOnly(
      `Migrations are pending, but ${connection.database.host} is read-only: it is a replica, or the role's transactions are read-only.`,
    );
  }
  return planned;
}

async function waitForLock({ connection, request, target, progress, log }: Attempt): Promise<Rows> {
  progress.doing = "waiting for the migration lock";
  const options = {
    ...{ timeoutMs: request.lockTimeoutMs, deadline: progress.deadline, log },
    onHolder: (holder: string) => {
      progress.doing = `waiting for the migration lock of ${holder}`;
    },
  };
  const warnings = await timed(progress, "lockMs", () =>
    acquireLock(connection, target.ledger, options),
  );
  for (const { code, message } of warnings) progress.warn(code, message);
  progress.doing = "reading the ledger";
  return await askForLedger(connection, target.ledger);
}

/** A COMMIT whose answer was lost has happened exactly if the ledger has its rows. */
function recoverDoubtful(plan: Plan, progress: Progress): void {
  const done = plan.applied.filter(({ tag }) => progress.inDoubt.has(tag));
  const applied = done.map((migration) => describeApplied(migration, null));
  progress.facts = { ...progress.facts, applied: [...progress.facts.applied, ...applied] };
  progress.inDoubt = new Set();
}

/** Where the server shows that a statement needs another place than its text says, plans once more with that. */
async function execute(self: Attempt, first: Plan, firstLedger: Ledger): Promise<void> {
  const { bundle, connection, log, progress, target } = self;
  let plan = first;
  let ledger = firstLedger;
  let lessons = NO_LESSONS;
  for (;;) {
    const failure = await carryOut(self, plan, ledger);
    if (failure === null) return;
    const learned = learnFrom(bundle, failure.thrown, lessons);
    if (learned === null) throw failure.thrown;
    lessons = learned;
    log("plan.again", { ...lessons });
    progress.doing = "planning once more";
    const answer = await askForLedger(connection, target.ledger);
    const again = makePlan(self, answer, lessons);
    ledger = again.ledger;
    // That this very run has left something half done is no reason for what it does.
    plan = { ...again.plan, executorReason: first.executorReason ?? again.plan.executorReason };
    if (plan.refusal !== null) throw failure.thrown;
  }
}

async function carryOut(
  { request, connection, progress, log }: Attempt,
  plan: Plan,
  ledger: Ledger,
): Promise<RunResult["failure"]> {
  const { facts } = progress;
  progress.doing = "preparing the ledger";
  const result = await runMigrations(plan, {
    connection,
    ledger,
    mayFallBack: request.executor !== "drizzle",
    patience: {
      ...{ lockTimeoutMs: request.ddlLockTimeoutMs, deadline: progress.deadline, log },
      onWatch: (blockers) => {
        progress.blockers = blockers;
      },
    },
    onStart: (soFar) => {
      progress.update = () => keep(soFar(), facts, progress);
    },
  });
  progress.update = null;
  keep(result, facts, progress);
  const { pending = [] } = progress.facts;
  if (result.failure !== null) progress.inDoubt = new Set(pending.map(({ tag }) => tag));
  return result.failure;
}

/** Keeps in the facts of the run how far a plan is carried out. @param before those before it */
function keep(
  { failure: _failure, applied, done, warnings, ...result }: RunResult,
  before: Progress["facts"],
  progress: Progress,
): void {
  const tags = new Set(applied.map(({ tag }) => tag));
  progress.facts = {
    ...progress.facts,
    ...result,
    applied: [...before.applied, ...applied],
    latest: applied.at(-1)?.tag ?? before.latest ?? null,
    pending: (before.pending ?? [])
      .filter(({ tag }) => !tags.has(tag))
      .map((each) => ({ ...each, done: done.get(each.tag) ?? each.done })),
  };
  for (const { code, message } of warnings) progress.warn(code, message);
}
