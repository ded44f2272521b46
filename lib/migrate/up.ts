import type { Rows } from "../connection/connection.ts";
import { type ErrorCode, MigratorError } from "../errors.ts";
import type { OnWait } from "../execute/blockers.ts";
import { restorePointQuestion } from "../history/history.ts";
import { readOnly } from "../ledger/denied.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { acquireLock, readLockAnswer } from "../ledger/lock.ts";
import { refusePooler } from "../ledger/pooler.ts";
import { askForLedger } from "../ledger/question.ts";
import type { Lessons } from "../plan/lessons.ts";
import type { Plan } from "../plan/plan.ts";
import type { Attempt, Status } from "./attempt.ts";
import { adviseOn, meetDatabase } from "./contact.ts";
import { knownOf, makePlan, type Planned } from "./make-plan.ts";

/**
 * Takes the lock, plans, and carries the plan out.
 * @throws MigratorError for every failure
 */
export async function up(self: Attempt<"lock" | "ledger" | "restorePoint">): Promise<Status> {
  const { progress } = self;
  let ledger: Ledger | null = null;
  try {
    const planned = await planUnderLock(self);
    ledger = planned.ledger;
    await meetDatabase(self, planned);
    if (planned.plan.pending.length > 0) {
      await progress.timed("executeMs", () =>
        execute(self, planned.plan, planned.ledger).catch(adviseOn(self, planned)),
      );
    }
  } catch (thrown) {
    const { recordFailure } = await import("./record-failure.ts");
    await recordFailure(self, ledger, thrown);
    throw thrown;
  }
  return progress.hasApplied ? "applied" : "up-to-date";
}

/**
 * Plans by a ledger that was read while the lock was ours, so that the plan cannot be stale. The table in
 * `ledger/lock.ts` draws the ways that lead there.
 */
async function planUnderLock(self: Attempt<"lock" | "ledger" | "restorePoint">): Promise<Planned> {
  const { connection, progress } = self;
  const { ledger, restorePoint } = connection.opening;
  const lock = readLockAnswer(connection.opening.lock);
  const first = lock === "taken" ? null : await planFrom(self, ledger, restorePoint);
  if (first?.plan.pending.length === 0) return first;
  progress.began("looking for a pooler on the way");
  await refusePooler(connection);
  if (first !== null && lock === "kept") return first;
  return await planFrom(self, ...(await readUnderLock(self)));
}

/** Plans by this answer about the ledger. @throws MigratorError where nothing of the plan may be carried out */
async function planFrom(self: Attempt, answer: Rows, restorePoint: Rows): Promise<Planned> {
  const { connection, progress } = self;
  const planned = await progress.planned(() => makePlan(self, answer), restorePoint);
  const { pending, refusal } = planned.plan;
  progress.recovered(planned.plan);
  progress.settled();
  if (refusal !== null) throw refusal;
  self.assertPending(pending.map(({ migration }) => migration));
  if (pending.length > 0 && connection.readOnly) {
    throw readOnly(
      `Migrations are pending, but ${connection.database.host} is read-only: it is a replica, or the role's transactions are read-only.`,
    );
  }
  return planned;
}

/** Waits for the lock, and then asks for the ledger. */
async function readUnderLock(self: Attempt): Promise<readonly [ledger: Rows, restorePoint: Rows]> {
  const { connection, request, target, progress, log } = self;
  progress.began("waiting for the migration lock");
  const { RunTimes } = await import("../execute/execute-plan.ts");
  const times = progress.keepsTimes(RunTimes);
  const started = Date.now();
  const options = {
    ...{ timeoutMs: request.lockTimeoutMs, deadline: progress.deadline, log },
    onWait: (ahead: Parameters<OnWait>[0]) => {
      times.saw({ ahead, behind: [], waitedMs: Date.now() - started, longestMs: null });
      self.onWait(ahead);
    },
    onHolder: (holder: string) => progress.began(`waiting for the migration lock of ${holder}`),
  };
  await endLostSession(self);
  const warnings = await progress.timed("lockMs", () =>
    acquireLock(connection, target.ledger, options).finally(() => times.turned(null)),
  );
  progress.warned(warnings);
  progress.began("reading the ledger");
  return await askAgain(self);
}

/** Asks for the ledger on an open session. */
async function askAgain({ connection, target, bundle }: Attempt): Promise<readonly [Rows, Rows]> {
  const options = { known: knownOf(bundle), beside: restorePointQuestion() };
  return await askForLedger(connection, target.ledger, options);
}

/**
 * Ends the session that this very run has lost. The server may never hear that nobody is there any more: then the session
 * would keep the lock for as long as its statement takes.
 */
async function endLostSession({ connection, progress }: Attempt): Promise<void> {
  if (progress.lostPid === null) return;
  await connection.query(
    `select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
     where pid operator(pg_catalog.=) $1::pg_catalog.int4
        and application_name operator(pg_catalog.=) pg_catalog.current_setting('application_name')`,
    [progress.lostPid],
  );
}

/** The limit of plans that others outran: somebody who writes the ledger again and again does not stop for us. */
const MAX_OUTRUN = 3;

/** Somebody else has come between the plan and its transaction, of which nothing stays. */
const OUTRUN: readonly ErrorCode[] = ["LOCK_LOST", "LEDGER_CHANGED"];

/** The knowledge that the failed attempts at a plan have brought. */
interface Experience {
  readonly lessons: Lessons;
  /** The number of plans that others outran. */
  readonly outrun: number;
}

/** @returns null when the failure is final */
function learn(
  thrown: unknown,
  { lessons, outrun }: Experience,
  learnFrom: (lessons: Lessons) => Lessons | null,
): Experience | null {
  if (thrown instanceof MigratorError && OUTRUN.includes(thrown.code)) {
    return outrun < MAX_OUTRUN ? { lessons, outrun: outrun + 1 } : null;
  }
  const learned = learnFrom(lessons);
  return learned === null ? null : { lessons: learned, outrun };
}

/**
 * Carries the plan out. Plans again where somebody else has written the ledger, and where the server shows that a
 * statement needs another place than its text says.
 */
async function execute(self: Attempt, first: Plan, firstLedger: Ledger): Promise<void> {
  let plan = first;
  let ledger = firstLedger;
  // Only a run that writes loads what executes, and what the history is made of.
  const { carryOut, learnFrom, NO_LESSONS } = await import("./carry-out.ts");
  let experience: Experience = { lessons: NO_LESSONS, outrun: 0 };
  while (plan.pending.length > 0) {
    const failure = await carryOut(self, plan, ledger);
    if (failure === null) return;
    const learned = learn(failure.thrown, experience, (lessons) =>
      learnFrom(self.bundle, failure.thrown, lessons, plan.steps),
    );
    if (learned === null) throw failure.thrown;
    const again = await planAgain(self, learned, learned.outrun > experience.outrun);
    experience = learned;
    ledger = again.ledger;
    // The reason is that of the first plan: this run has itself left something half done since.
    plan = { ...again.plan, executorReason: first.executorReason ?? again.plan.executorReason };
    if (plan.refusal !== null) throw failure.thrown;
  }
}

async function planAgain(
  self: Attempt,
  { lessons, outrun }: Experience,
  wasOutrun: boolean,
): Promise<Planned> {
  const { log, progress } = self;
  log("plan.again", { ...lessons, outrun });
  progress.began("planning once more");
  const [answer, restorePoint] = wasOutrun ? await readUnderLock(self) : await askAgain(self);
  return await progress.planned(() => makePlan(self, answer, lessons), restorePoint);
}
