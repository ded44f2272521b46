/*
 * Execute: carries out a plan. A plan, its ledger and an open connection come in. A result goes out: the applied
 * migrations, and the error that stopped the rest. An executor sends one step at a time, and a transaction that loses
 * against other sessions is repeated until the deadline. Nothing here decides which migrations are pending, or in
 * which order they come.
 */

import { lockTimeoutOf, type Step, slicesOf } from "../bundle/steps.ts";
import type { Connection } from "../connection/connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import type { HistoryOptions } from "../history/keeper.ts";
import type { Ledger, LedgerFacts } from "../ledger/ledger.ts";
import type { ExecutorReason, Plan } from "../plan/plan.ts";
import { INSUFFICIENT_PRIVILEGE } from "../postgres/errors.ts";
import { type Patience, retryOnContention } from "./contention.ts";
import {
  type AppliedMigration,
  type AppliedStep,
  BootstrapRefused,
  type Executing,
  type Executor,
} from "./executor.ts";
import type { Lockouts } from "./lockouts.ts";

export { RunTimes } from "./run-times.ts";

/** The outcome of a plan. Partial success is normal: committed steps stay. */
export interface RunResult {
  readonly applied: readonly AppliedMigration[];
  readonly executor: Plan["executor"];
  readonly executorReason: ExecutorReason | null;
  readonly ledger: LedgerFacts;
  readonly warnings: readonly Warning[];
  /** Number of statements that are done, by the tag of their migration, as far as this run has come. */
  readonly done: ReadonlyMap<string, number>;
  /** The error that stopped the run; null without one. */
  readonly failure: { readonly thrown: unknown } | null;
}

/** The parts that a run needs to carry out a plan. */
export interface RunDependencies {
  readonly connection: Connection;
  readonly ledger: Ledger;
  /** Whether our own executor may take over; false when the caller insists on Drizzle's. */
  readonly mayFallBack: boolean;
  readonly patience: Patience;
  readonly history: HistoryOptions;
  readonly lockouts: Lockouts;
  /** Receives a function that says at any time how far the run has come. */
  onStart(soFar: () => RunResult): void;
}

/** Carries out a plan, step by step, and stops at the first step that fails. Never rejects. */
export async function executePlan(plan: Plan, dependencies: RunDependencies): Promise<RunResult> {
  const { connection, ledger, patience, onStart } = dependencies;
  const { log } = patience;
  const applied: AppliedMigration[] = [];
  const warnings: Warning[] = [];
  const statementsDone = new Map<string, number>();
  let { place } = ledger;
  let { executorReason } = plan;
  let executor: Executor | null = null;

  async function applyOrFallBack(chosen: Executor, step: Step): Promise<AppliedStep> {
    try {
      return await chosen.apply(step);
    } catch (thrown) {
      if (!(thrown instanceof BootstrapRefused)) throw thrown;
      if (!dependencies.mayFallBack) throw insisted(thrown);
      executorReason = "schema-creation-blocked";
      log("executor.fallback", { reason: executorReason });
      executor = await createOwnExecutor(dependencies);
      return await executor.apply(step);
    }
  }

  const result = (failure: RunResult["failure"] = null): RunResult => ({
    applied,
    executor: executor?.name ?? plan.executor,
    executorReason,
    ledger: { ...place, format: ledger.format },
    warnings,
    done: statementsDone,
    failure,
  });

  const keep = (done: AppliedStep | undefined): void => {
    if (done === undefined) return;
    applied.push(...done.applied);
    place = done.place;
    warnings.push(...done.warnings);
    for (const { tag, durationMs } of done.applied) log("migration.applied", { tag, durationMs });
  };

  onStart(result);
  tellPlan(plan, dependencies);
  try {
    for (const step of plan.steps) {
      const chosen: Executor = executor ?? (await createExecutor(plan, dependencies));
      executor = chosen;
      const done = await retryOnContention(connection, patienceFor(step, patience), () =>
        applyOrFallBack(executor ?? chosen, step),
      );
      for (const { migration, done: count } of slicesOf(step)) {
        statementsDone.set(migration.tag, count);
      }
      keep(done);
    }
    keep(await retryOnContention(connection, patience, async () => await settleOf(executor)));
    await tidyUp(executor, dependencies);
    return result();
  } catch (thrown) {
    // The record of a step that is done must not be lost with the step behind it. Where it cannot be written, the next
    // run finds in the catalog that the step is done.
    keep(await settleOf(executor).catch(() => undefined));
    return result({ thrown });
  }
}

function tellPlan(
  { pending, atomic }: Plan,
  { connection, ledger, patience }: RunDependencies,
): void {
  const { name, ...database } = connection.database;
  patience.log("planned", {
    ...{
      database: name,
      ...database,
      ledger: `${ledger.place.schema}.${ledger.place.table}`,
      atomic,
    },
    pending: pending.map(({ migration, checkpoint }) => ({
      tag: migration.tag,
      statements: migration.statements.length,
      done: checkpoint?.done ?? 0,
    })),
  });
}

async function settleOf(executor: Executor | null): Promise<AppliedStep | undefined> {
  return await executor?.settle?.();
}

/** Leaves no empty table where drizzle-kit would want to drop its schema for it. */
async function tidyUp(
  executor: Executor | null,
  { connection, ledger, history }: RunDependencies,
): Promise<void> {
  const place = executor?.withoutCheckpoints?.() ?? null;
  if (place === null) return;
  const { dropCheckpoints, isSeen } = await import("./drop-checkpoints.ts");
  if (isSeen(place, [ledger.format, history.layout])) await dropCheckpoints(connection, place);
}

/** Returns the patience for one step. Directives may let some statements wait longer, or all of them shorter. */
function patienceFor(step: Step, patience: Patience): Patience {
  const waitsMs = slicesOf(step).flatMap(({ migration, statements }) =>
    statements.map((index) => lockTimeoutOf(migration, index, patience.lockTimeoutMs)),
  );
  const longestMs = waitsMs.reduce((most, each) => Math.max(most, each), 0);
  const alone = step.kind === "alone";
  return waitsMs.length === 0 ? patience : { ...patience, alone, lockTimeoutMs: longestMs };
}

/**
 * Makes the executor that the plan names. Drizzle is half as large as all other code of a run, so only a run that
 * needs it loads it. A run with nothing to do loads no executor at all.
 */
async function createExecutor(plan: Plan, dependencies: RunDependencies): Promise<Executor> {
  if (plan.executor === "statements") return await createOwnExecutor(dependencies);
  const { createDrizzleExecutor } = await import("./drizzle-executor.ts");
  return createDrizzleExecutor(executingWith(dependencies));
}

async function createOwnExecutor(dependencies: RunDependencies): Promise<Executor> {
  const { createStatementsExecutor } = await import("./statements-executor.ts");
  return createStatementsExecutor(executingWith(dependencies));
}

function executingWith({ patience, ...rest }: RunDependencies): Executing {
  const { connection, ledger, history, lockouts } = rest;
  return { connection, ledger, history, lockouts, lockTimeoutMs: patience.lockTimeoutMs };
}

function insisted(cause: BootstrapRefused): MigratorError {
  return new MigratorError(
    "EXECUTOR_UNSUITABLE",
    `Drizzle's own migrator cannot run here: the role may not create the ledger's schema or table, which it always tries. Send "executor": "auto", or grant the role CREATE on the database.`,
    { cause, sqlstate: INSUFFICIENT_PRIVILEGE },
  );
}
