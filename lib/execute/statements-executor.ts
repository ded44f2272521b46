import { type Migration, statementText } from "../bundle/bundle.ts";
import { lockTimeoutOf, type Slice, type Step, slicesOf } from "../bundle/steps.ts";
import type { Connection } from "../connection/connection.ts";
import { MigratorError } from "../errors.ts";
import {
  type Checkpoint,
  checkpointDelete,
  checkpointOf,
  checkpointUpsert,
  createCheckpoints,
  findCheckpoint,
  interruptedStatement,
} from "../ledger/checkpoints.ts";
import { explainLedgerError } from "../ledger/denied.ts";
import { chooseWritePlace } from "../ledger/home.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { createLedgerStatements, ledgerRowInsert } from "../ledger/write.ts";
import { type AppliedStep, describeApplied, type Executor } from "./executor.ts";
import { ownRoleParts, sessionResetParts, setsLockTimeout } from "./session-reset.ts";
import { runAlone } from "./standalone.ts";
import { beginParts, type Part, sendTransaction, statementParts } from "./transaction.ts";

/**
 * Our own executor. A transaction holds its statements and their record: the ledger row of a complete migration, the
 * checkpoint of an incomplete one. It also creates a missing ledger, so that a failed run leaves not even an empty
 * table behind. A statement that no transaction can hold is announced in the checkpoint before it is sent. So a run
 * that dies meanwhile leaves a trace.
 * @throws MigratorError `LEDGER_DENIED`, before anything is sent, when no ledger can be written
 */
export function createStatementsExecutor(
  connection: Connection,
  ledger: Ledger,
  lockTimeoutMs: number,
): Executor {
  const { role } = connection.database;
  let target = chooseWritePlace(ledger, role);
  const { place } = target;
  const resumed = new Set<Migration>();
  const durationsMs = new Map<Migration, number>();
  /**
   * The checkpoints that this run has written. When a statement is tried again, the ledger as it was read is out of
   * date.
   */
  const written = new Map<Migration, Checkpoint>();

  async function transact(
    parts: readonly Part[],
    waitMs: number | null = lockTimeoutMs,
  ): Promise<void> {
    const all: readonly Part[] = [
      ...beginParts("begin", waitMs),
      ...createLedgerStatements(target).map((text): Part => ({ kind: "ledger", text })),
      ...parts,
      { kind: "commit", text: "commit" },
    ];
    const took = await sendTransaction(connection, all, (thrown, kind) =>
      explainLedgerError(thrown, { ledger, role, kind }),
    );
    target = { ...target, createSchema: false, createTable: false };
    for (const [migration, ms] of took) addDuration(migration, ms);
  }

  function addDuration(migration: Migration, ms: number): void {
    durationsMs.set(migration, (durationsMs.get(migration) ?? 0) + ms);
  }

  /** Returns the parts that follow the statements of a slice in its transaction. */
  function recordParts({ migration, done, completes }: Slice): readonly Part[] {
    if (!completes) {
      return [...ownRoleParts(migration), ...checkpointParts(checkpointOf(migration, done, null))];
    }
    const row: Part = { kind: "ledger-row", migration, ...ledgerRowInsert(target, migration) };
    const clean: Part = { kind: "checkpoint", ...checkpointDelete(place, migration) };
    const reset = sessionResetParts(migration, lockTimeoutMs);
    return [...reset, row, ...(target.checkpointsExist ? [clean] : [])];
  }

  function checkpointParts(checkpoint: Checkpoint): readonly Part[] {
    const create: Part = { kind: "checkpoint", text: createCheckpoints(place) };
    const upsert: Part = { kind: "checkpoint", ...checkpointUpsert(place, checkpoint) };
    return target.checkpointsExist ? [upsert] : [create, upsert];
  }

  async function checkpoint(...facts: Parameters<typeof checkpointOf>): Promise<void> {
    const [migration] = facts;
    const reached = checkpointOf(...facts);
    await transact([...ownRoleParts(migration), ...checkpointParts(reached)]);
    target = { ...target, checkpointsExist: true };
    written.set(migration, reached);
  }

  /** Repeats the session settings of the statements that are done: a new session lacks them. */
  async function resume({ migration, statements: [first = 0] }: Slice): Promise<void> {
    if (resumed.has(migration)) return;
    resumed.add(migration);
    if (findCheckpoint(ledger.checkpoints, migration) === undefined) return;
    const settings = migration.statements
      .slice(0, first)
      .filter(({ effect }) => effect?.kind === "sets");
    for (const each of settings) await connection.query(statementText(migration, each));
  }

  async function applyTransaction(slices: readonly Slice[]): Promise<AppliedStep> {
    const [only, ...others] = slices;
    const single = only !== undefined && others.length === 0 ? only : null;
    if (single !== null) await resume(single);
    const itsOwn = single !== null && setsLockTimeout(single.migration, single.statements[0] ?? 0);
    await transact(
      slices.flatMap((slice) => [
        ...statementParts(slice.migration, lockTimeoutMs, slice.statements),
        ...recordParts(slice),
      ]),
      itsOwn ? null : lockTimeoutMs,
    );
    if (slices.some(({ completes }) => !completes)) target = { ...target, checkpointsExist: true };
    return applied(slices, []);
  }

  async function applyAlone(slice: Slice, index: number): Promise<AppliedStep> {
    const { migration, completes, done } = slice;
    await resume(slice);
    const found = written.get(migration) ?? findCheckpoint(ledger.checkpoints, migration);
    const stopped = interruptedStatement(migration, found) === index;
    const { warnings, durationMs } = await runAlone({
      connection,
      migration,
      index,
      lockTimeoutMs: lockTimeoutOf(migration, index, lockTimeoutMs),
      interrupted: stopped ? (found ?? null) : null,
      announce: (before) => checkpoint(migration, index, index, before),
      withdraw: () => checkpoint(migration, index, null),
    });
    addDuration(migration, durationMs);
    if (completes) await transact(recordParts(slice));
    else await checkpoint(migration, done, null);
    return applied([slice], warnings);
  }

  function applied(slices: readonly Slice[], warnings: AppliedStep["warnings"]): AppliedStep {
    const complete = slices.filter(({ completes }) => completes);
    return {
      applied: complete.map(({ migration }) =>
        describeApplied(migration, Math.round(durationsMs.get(migration) ?? 0)),
      ),
      place,
      warnings,
    };
  }

  async function apply(step: Step): Promise<AppliedStep> {
    const slices = slicesOf(step);
    try {
      return step.kind === "alone"
        ? await applyAlone(step.slice, step.index)
        : await applyTransaction(slices);
    } catch (thrown) {
      throw slices.length === 1 ? withProgress(thrown, slices[0]) : thrown;
    }
  }

  return { name: "statements", apply };
}

/** Adds the statements that stay done to the error of a migration whose earlier steps are committed. */
function withProgress(thrown: unknown, slice: Slice | undefined): unknown {
  const first = slice?.statements[0] ?? 0;
  if (slice === undefined || first === 0 || !(thrown instanceof MigratorError)) return thrown;
  const total = slice.migration.statements.length;
  const stays =
    first === 1
      ? `Statement 1 of ${total} is done and stays done; the next run goes on behind it.`
      : `Statements 1 to ${first} of ${total} are done and stay done; the next run goes on behind them.`;
  return new MigratorError(thrown.code, `${thrown.message} ${stays}`, thrown.facts);
}
