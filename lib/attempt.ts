import type { Bundle } from "./bundle.ts";
import type { Target } from "./config.ts";
import { connect } from "./connect.ts";
import type { Connection, Rows } from "./connection.ts";
import { MigratorError, toError } from "./errors.ts";
import { gradedFindings, pendingFindings } from "./grading.ts";
import { ledgerQuestion, readLedger } from "./ledger.ts";
import type { Ledger } from "./ledger-home.ts";
import { type Lessons, learnFrom, NO_LESSONS } from "./lessons.ts";
import { acquireLock } from "./lock.ts";
import type { Log } from "./log.ts";
import { type Plan, planMigrations } from "./plan.ts";
import { openingLockQuestion, refusePooler } from "./pooler.ts";
import { describeApplied, describePending, type RunFacts, type Timings } from "./report.ts";
import type { Request } from "./request.ts";
import { type RunResult, runMigrations } from "./run.ts";

/** What a run needs from outside. */
export interface Dependencies {
  readonly bundle: Bundle;
  /**
   * Where to run. Called inside the run, so that a secret that cannot be read becomes a failed report;
   * and once more when the login is refused, because the secret may have been rotated.
   */
  target(): Promise<Target> | Target;
  readonly requestId: string;
  /** Epoch ms by which the work must have stopped; null means no limit from outside. */
  readonly deadline: number | null;
  readonly log: Log;
}

/** What is known of a run so far, over all its attempts. Whatever happens next, the report says this much. */
export interface Progress {
  /** Epoch ms. */
  readonly deadline: number;
  facts: RunFacts & Required<Pick<RunFacts, "applied" | "warnings" | "notices" | "roundTrips">>;
  timings: Omit<Timings, "totalMs">;
  /** Tags that were being applied when the connection was lost: only the ledger knows whether they are. */
  inDoubt: ReadonlySet<string>;
  warn(code: string, message: string): void;
}

type Status = "applied" | "up-to-date" | "planned";

/** One attempt at a run, on a connection of its own. */
interface Attempt {
  readonly request: Request;
  readonly target: Target;
  readonly bundle: Bundle;
  readonly connection: Connection;
  readonly progress: Progress;
  readonly log: Log;
}

/** What is to be done, and the ledger that it was read from. */
interface Planned {
  readonly ledger: Ledger;
  readonly plan: Plan;
}

/** How long a cancelled statement has to stop before its connection is dropped. */
const CANCEL_GRACE_MS = 2_000;

/** The beginning of every run. */
export function startProgress(bundle: Bundle, deadline: number): Progress {
  const progress: Progress = {
    deadline,
    facts: { applied: [], warnings: bundle.warnings, notices: [], roundTrips: 0 },
    timings: { connectMs: 0, lockMs: 0, planMs: 0, executeMs: 0 },
    inDoubt: new Set(),
    warn: (code, message) => {
      const known = progress.facts.warnings.some((each) => each.message === message);
      if (known) return;
      const warnings = [...progress.facts.warnings, { code, message }];
      progress.facts = { ...progress.facts, warnings };
    },
  };
  return progress;
}

/**
 * Makes one attempt: connects, takes the lock, reads the ledger, plans and executes.
 * @param progress is kept up to date, also when the attempt fails
 * @throws MigratorError for every failure; `CONNECTION_LOST` where another attempt may help
 */
export async function attempt(
  request: Request,
  target: Target,
  { bundle, requestId, log }: Dependencies,
  progress: Progress,
): Promise<Status> {
  const { deadline } = progress;
  const lock = request.action === "up" ? [openingLockQuestion(target)] : [];
  const opening = [...lock, ...ledgerQuestion(target.ledger)];
  const connection = await timed(progress, "connectMs", () =>
    connect(target, { requestId, deadline, log, opening }),
  );
  log("connected", { pid: connection.backendPid, connectMs: progress.timings.connectMs });
  if (progress.facts.database === undefined) {
    for (const { code, message } of connection.warnings) progress.warn(code, message);
  }
  progress.facts = { ...progress.facts, database: connection.database };
  const watchdog = setTimeout(
    () => void connection.interrupt(deadlinePassed(request), CANCEL_GRACE_MS),
    Math.max(deadline - Date.now(), 0),
  );
  const self: Attempt = { request, target, bundle, connection, progress, log };
  try {
    return request.action === "up" ? await apply(self) : await inspect(self);
  } finally {
    clearTimeout(watchdog);
    const { notices, roundTrips } = progress.facts;
    progress.facts = {
      ...progress.facts,
      notices: [...notices, ...connection.notices()],
      roundTrips: roundTrips + connection.roundTrips(),
    };
    await connection.close();
  }
}

async function apply(self: Attempt): Promise<Status> {
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
async function planUnderLock(self: Attempt): Promise<Planned> {
  const { connection } = self;
  const [lockAnswer, ...answers] = connection.opening;
  const { locked, lasting } = lockAnswer?.[0] ?? {};
  const first = locked === true ? decide(self, answers) : null;
  if (first?.plan.pending.length === 0) return first;
  await refusePooler(connection);
  if (first !== null && lasting === true) return first;
  return decide(self, await waitForLock(self));
}

function decide(self: Attempt, answers: readonly Rows[]): Planned {
  const { connection, progress } = self;
  const planned = makePlan(self, answers);
  recoverDoubtful(planned.plan, progress);
  if (planned.plan.refusal !== null) throw planned.plan.refusal;
  if (planned.plan.pending.length > 0 && connection.readOnly) throw readOnly(connection);
  return planned;
}

async function waitForLock({
  connection,
  request,
  target,
  progress,
  log,
}: Attempt): Promise<readonly Rows[]> {
  const options = { timeoutMs: request.lockTimeoutMs, deadline: progress.deadline, log };
  const warnings = await timed(progress, "lockMs", () =>
    acquireLock(connection, target.ledger, options),
  );
  for (const { code, message } of warnings) progress.warn(code, message);
  return await connection.batch(ledgerQuestion(target.ledger));
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
  const { bundle, connection, log, target } = self;
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
    const answers = await connection.batch(ledgerQuestion(target.ledger));
    const again = makePlan(self, answers, lessons);
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
  const { failure, applied, done, warnings, ...result } = await runMigrations(plan, {
    connection,
    ledger,
    mayFallBack: request.executor !== "drizzle",
    patience: { lockTimeoutMs: request.ddlLockTimeoutMs, deadline: progress.deadline, log },
  });
  const tags = new Set(applied.map(({ tag }) => tag));
  const pending = (progress.facts.pending ?? [])
    .filter(({ tag }) => !tags.has(tag))
    .map((each) => ({ ...each, done: done.get(each.tag) ?? each.done }));
  progress.facts = {
    ...progress.facts,
    ...result,
    applied: [...progress.facts.applied, ...applied],
    latest: applied.at(-1)?.tag ?? progress.facts.latest ?? null,
    pending,
  };
  for (const { code, message } of warnings) progress.warn(code, message);
  if (failure !== null) progress.inDoubt = new Set(pending.map(({ tag }) => tag));
  return failure;
}

async function inspect(self: Attempt): Promise<Status> {
  const { request, connection, progress } = self;
  const { plan, ledger } = makePlan(self, connection.opening);
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

function makePlan(
  { bundle, connection, progress, request }: Attempt,
  answers: readonly Rows[],
  lessons: Lessons = NO_LESSONS,
): Planned {
  const started = Date.now();
  const ledger = readLedger(answers, connection.database.role, bundle.layout);
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

async function timed<Result>(
  progress: Progress,
  name: keyof Progress["timings"],
  work: () => Promise<Result>,
): Promise<Result> {
  const started = Date.now();
  try {
    return await work();
  } finally {
    const sum = progress.timings[name] + Date.now() - started;
    progress.timings = { ...progress.timings, [name]: sum };
  }
}

function deadlinePassed({ timeoutMs }: Request): MigratorError {
  const limit = timeoutMs === null ? "the function's time-out" : "timeoutMs";
  return new MigratorError(
    "DEADLINE",
    `The time for this run is over, so what was running was cancelled and rolled back. Raise ${limit}, or split the migration.`,
    { retryable: true },
  );
}

function readOnly({ database }: Connection): MigratorError {
  return new MigratorError(
    "READ_ONLY",
    `Migrations are pending, but ${database.host} is read-only: it is a replica, or the role's transactions are read-only. Use the primary's host.`,
  );
}
