import type { Bundle } from "./bundle.ts";
import type { Target } from "./config.ts";
import { connect } from "./connect.ts";
import type { Connection, Rows } from "./connection.ts";
import { parseEndpoint } from "./endpoint.ts";
import { MigratorError } from "./errors.ts";
import { ledgerQuestion, readLedger } from "./ledger.ts";
import type { Ledger } from "./ledger-home.ts";
import { acquireLock, lockQuestion } from "./lock.ts";
import type { Log } from "./log.ts";
import { type Plan, planMigrations } from "./plan.ts";
import { redact } from "./redact.ts";
import {
  buildReport,
  describeApplied,
  describePending,
  failedReport,
  type Report,
  type RunFacts,
  type Timings,
} from "./report.ts";
import type { Request } from "./request.ts";
import { runMigrations } from "./run.ts";

/** What a run needs from outside. */
export interface Dependencies {
  readonly bundle: Bundle;
  /** Where to run. Called once, inside the run: a secret that cannot be read becomes a failed report. */
  target(): Promise<Target> | Target;
  readonly requestId: string;
  /** Epoch ms by which the work must have stopped; null means no limit from outside. */
  readonly deadline: number | null;
  readonly log: Log;
}

/** One run, while it is under way. */
interface Run {
  readonly request: Request;
  readonly dependencies: Dependencies;
  readonly deadline: number;
  /** What is known so far; whatever happens next, the report says this much. */
  facts: RunFacts;
  timings: Omit<Timings, "totalMs">;
}

/** With no limit from outside a run still ends: after a day nobody waits for it any more. */
const LONGEST_RUN_MS = 86_400_000;

/** How long a cancelled statement has to stop before its connection is dropped. */
const CANCEL_GRACE_MS = 2_000;

/**
 * Runs one request against one database: connect, lock, read the ledger, plan, execute, unlock, report.
 * Never rejects: every failure is a report.
 */
export async function migrate(request: Request, dependencies: Dependencies): Promise<Report> {
  const started = Date.now();
  const run: Run = {
    request,
    dependencies,
    deadline: Math.min(
      started + (request.timeoutMs ?? LONGEST_RUN_MS),
      dependencies.deadline ?? Number.POSITIVE_INFINITY,
    ),
    facts: { warnings: dependencies.bundle.warnings },
    timings: { connectMs: 0, lockMs: 0, planMs: 0, executeMs: 0 },
  };
  const secrets: string[] = [];
  const timings = () => ({ ...run.timings, totalMs: Date.now() - started });
  try {
    const target = await dependencies.target();
    secrets.push(...secretsOf(target));
    const status = await runOn(target, run);
    const report = buildReport(dependencies.requestId, status, {
      ...run.facts,
      timings: timings(),
    });
    return redact(report, secrets);
  } catch (thrown) {
    const report = failedReport(dependencies.requestId, thrown, {
      ...run.facts,
      timings: timings(),
    });
    return redact(report, secrets);
  }
}

async function runOn(target: Target, run: Run): Promise<"applied" | "up-to-date" | "planned"> {
  const { requestId, log } = run.dependencies;
  const questions = ledgerQuestion(target.ledger);
  const lock = run.request.action === "up" ? [lockQuestion(target.ledger)] : [];
  const opening = [...lock, ...questions];
  const connection = await timed(run, "connectMs", () =>
    connect(target, { requestId, deadline: run.deadline, log, opening }),
  );
  const { database, warnings } = connection;
  run.facts = { ...run.facts, database, warnings: [...(run.facts.warnings ?? []), ...warnings] };
  log("connected", { pid: connection.backendPid, connectMs: run.timings.connectMs });
  const watchdog = setTimeout(
    () => {
      void connection.interrupt(deadlinePassed(run), CANCEL_GRACE_MS);
    },
    Math.max(run.deadline - Date.now(), 0),
  );
  try {
    return run.request.action === "up"
      ? await applyUnderLock(connection, target, run)
      : inspect(makePlan(connection, connection.opening, run), run);
  } finally {
    clearTimeout(watchdog);
    run.facts = {
      ...run.facts,
      notices: connection.notices(),
      roundTrips: connection.roundTrips(),
    };
    await connection.close();
  }
}

/** The ledger is read under the lock, so that the plan cannot be stale. */
async function applyUnderLock(
  connection: Connection,
  target: Target,
  run: Run,
): Promise<"applied" | "up-to-date"> {
  const [attempt, ...answers] = connection.opening;
  const locked = attempt?.[0]?.locked === true;
  const results = locked ? answers : await waitForLock(connection, target, run);
  const { ledger, plan } = makePlan(connection, results, run);
  if (plan.refusal !== null) throw plan.refusal;
  if (plan.pending.length === 0) return "up-to-date";
  if (connection.readOnly) throw readOnly(connection);
  await timed(run, "executeMs", () => execute(plan, connection, ledger, run));
  return "applied";
}

async function waitForLock(
  connection: Connection,
  target: Target,
  run: Run,
): Promise<readonly Rows[]> {
  const { lockTimeoutMs: timeoutMs } = run.request;
  const options = { timeoutMs, deadline: run.deadline, log: run.dependencies.log };
  await timed(run, "lockMs", () => acquireLock(connection, target.ledger, options));
  return await connection.batch(ledgerQuestion(target.ledger));
}

async function execute(
  plan: Plan,
  connection: Connection,
  ledger: Ledger,
  run: Run,
): Promise<void> {
  const { log } = run.dependencies;
  const mayFallBack = run.request.executor !== "drizzle";
  const { failure, ...result } = await runMigrations(plan, {
    connection,
    ledger,
    mayFallBack,
    log,
  });
  const applied = new Set(result.applied.map(({ tag }) => tag));
  const pending = (run.facts.pending ?? []).filter(({ tag }) => !applied.has(tag));
  run.facts = { ...run.facts, ...result, pending };
  if (failure !== null) throw failure.thrown;
}

function inspect({ plan, ledger }: Planned, run: Run): "up-to-date" | "planned" {
  if (run.request.action === "status") {
    const applied = plan.applied.map((migration) => describeApplied(migration, null));
    run.facts = { ...run.facts, applied };
  } else if (plan.refusal !== null) {
    throw plan.refusal;
  }
  if (plan.executor === "drizzle" && !ledger.mayBootstrap) {
    const executorReason = "schema-creation-blocked";
    run.facts = { ...run.facts, executor: "statements", executorReason };
  }
  return plan.pending.length === 0 ? "up-to-date" : "planned";
}

/** A ledger, and what is to be done about it. */
interface Planned {
  readonly ledger: Ledger;
  readonly plan: Plan;
}

function makePlan(connection: Connection, answers: readonly Rows[], run: Run): Planned {
  const started = Date.now();
  const ledger = readLedger(answers, connection.database.role);
  const plan = planMigrations(run.dependencies.bundle, ledger, run.request);
  const { executor, executorReason, atomic, drift } = plan;
  run.timings = { ...run.timings, planMs: Date.now() - started };
  run.facts = {
    ...run.facts,
    ledger: { ...ledger.place, format: ledger.format },
    executor,
    executorReason,
    atomic,
    drift,
    pending: plan.pending.map(({ migration, reasons }) => describePending(migration, reasons)),
    warnings: [...(run.facts.warnings ?? []), ...ledger.warnings, ...plan.warnings],
  };
  return { ledger, plan };
}

async function timed<Result>(
  run: Run,
  name: keyof Run["timings"],
  work: () => Promise<Result>,
): Promise<Result> {
  const started = Date.now();
  try {
    return await work();
  } finally {
    run.timings = { ...run.timings, [name]: Date.now() - started };
  }
}

function secretsOf(target: Target): readonly string[] {
  try {
    const { password } = parseEndpoint(target.url);
    return password === null ? [target.url] : [target.url, password, encodeURIComponent(password)];
  } catch {
    return [target.url];
  }
}

function deadlinePassed(run: Run): MigratorError {
  const asked = run.request.timeoutMs !== null ? "timeoutMs" : "the function's timeout";
  return new MigratorError(
    "DEADLINE",
    `The time for this run is over, so what was running was cancelled and rolled back. Raise ${asked}, or split the migration.`,
    { retryable: true },
  );
}

function readOnly(connection: Connection): MigratorError {
  return new MigratorError(
    "READ_ONLY",
    `Migrations are pending, but ${connection.database.host} is read-only: it is a replica, or the role's transactions are read-only. Use the primary's host.`,
  );
}
