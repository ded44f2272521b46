import { type Migration, statementText } from "../bundle/bundle.ts";
import { lockTimeoutOf, type Slice, type Step, slicesOf } from "../bundle/steps.ts";
import type { Sending } from "../connection/pipeline.ts";
import { MigratorError, STOPS, type Warning } from "../errors.ts";
import { createKeeper } from "../history/keeper.ts";
import {
  type Checkpoint,
  checkpointDelete,
  checkpointOf,
  checkpointUpsert,
  createCheckpoints,
  findCheckpoint,
} from "../ledger/checkpoints.ts";
import { isPrivilegeError } from "../ledger/denied.ts";
import { closingGuard, knownFrom, openingGuard } from "../ledger/guard.ts";
import { chooseWritePlace } from "../ledger/home.ts";
import { explainLedgerError } from "../ledger/refused.ts";
import { createLedgerStatements, ledgerRowInsert } from "../ledger/write.ts";
import type { LedgerPlace } from "../target/target.ts";
import { type AppliedStep, describeApplied, type Executing, type Executor } from "./executor.ts";
import {
  asOurselves,
  constraintsParts,
  ownRoleParts,
  type Roles,
  releaseParts,
  rolesOf,
  sessionResetParts,
  settingsIn,
} from "./session-reset.ts";
import { migrationFailed } from "./statement-errors.ts";
import {
  hasOneSnapshot,
  headOf,
  isAtHead,
  isFindable,
  isReadOnly,
  setsRole,
  type TransactionStep,
  waitsItsOwn,
  withProgress,
} from "./step-facts.ts";
import { expectTemporary } from "./temporary.ts";
import {
  beginParts,
  guardParts,
  historyParts,
  knownAfter,
  type Part,
  RUN_DEFERRED,
  recordedIn,
  rehearsedParts,
  sendTransaction,
  statementParts,
  withHistory,
} from "./transaction.ts";

const COMMIT: Part = { kind: "commit", text: "commit" };

/**
 * Our own executor. A transaction holds its statements and their record: the ledger row of a complete migration, the
 * checkpoint of an incomplete one. It also creates a missing ledger, so that a failed run leaves not even an empty
 * table behind. A statement that no transaction can hold is announced in the checkpoint before it is sent. So a run
 * that dies meanwhile leaves a trace.
 * @throws MigratorError `LEDGER_DENIED`, before anything is sent, when no ledger can be written
 */
export function createStatementsExecutor(executing: Executing): Executor {
  const { connection, ledger, lockTimeoutMs, history, lockouts } = executing;
  const { role } = connection.database;
  let target = chooseWritePlace(ledger, role);
  /** Places that the server has refused, although our role has the rights there. */
  const refused: LedgerPlace[] = [];
  let known = knownFrom(ledger);
  const resumed = new Set<Migration>();
  const durationsMs = new Map<Migration, number>();
  /** When this run began with each, by our own clock. */
  const begunAt = new Map<Migration, number>();
  const keeper = createKeeper(ledger, role, history);
  /**
   * The checkpoints that this run has written. When a statement is tried again, the ledger as it was read is out of
   * date.
   */
  const written = new Map<Migration, Checkpoint>();
  /** A slice that is done, and whose record travels with the next transaction; null without one. */
  let owed: Slice | null = null;
  /** The slices that have their ledger row, and that no step has reported yet. */
  const unreported: Slice[] = [];

  /** @param within the migration whose earlier statements may have set another role; null without one */
  async function transact(
    parts: readonly Part[],
    within: Migration | null,
    begin: readonly Part[],
  ): Promise<void> {
    await withHistory(parts, { keeper, place: target.place }, (all) =>
      sendGuarded(all, within, begin),
    );
  }

  async function sendGuarded(
    parts: readonly Part[],
    within: Migration | null,
    begin: readonly Part[],
  ): Promise<void> {
    const rows = recordedIn(parts);
    const guarded = { ...target, places: ledger.homes };
    const closing = guardParts(closingGuard(guarded, known, rows));
    const reading = lockouts.read(parts);
    const ahead = reading.first === null ? [] : rehearsedParts(parts, closing);
    const opening = [...guardParts(openingGuard(guarded, known)), ...ahead];
    const asks = within !== null && hasOneSnapshot(begin, within) && !setsRole(begin);
    const roles = asks ? await askRoles(within) : null;
    const all: readonly Part[] = [
      ...begin,
      ...createLedgerStatements(target).map((text): Part => ({ kind: "ledger", text })),
      // A transaction with one snapshot must see the ledger as the lock leaves it: that comes first wherever it can.
      ...(within === null ? opening : asOurselves(within, role, opening, roles)),
      ...parts,
      ...closing,
      COMMIT,
    ];
    const explainLedger = (thrown: unknown, kind: Part["kind"]) => {
      if (kind === "ledger" && isPrivilegeError(thrown)) refused.push(target.place);
      return explainLedgerError(thrown, {
        ...{ ledger, role, kind },
        place: target.place,
        written: rows,
      });
    };
    const watched = lockouts.watch(all, reading);
    const took = await sendTransaction(connection, all, { explainLedger, watched });
    known = knownAfter(known, parts);
    target = { ...target, createSchema: false, createTable: false };
    for (const [migration, ms] of took) addDuration(migration, ms);
  }

  /** Asks for the roles of the session ahead of a transaction whose one snapshot must not come before its lock. */
  async function askRoles(within: Migration): Promise<Roles> {
    const names = rolesOf(within, role);
    if (names.length === 0) return {};
    const asked = names.map((name) => `pg_catalog.current_setting('${name}') as "${name}"`);
    const [roles] = await connection.query<Roles>(`select ${asked.join(", ")}`);
    return roles ?? {};
  }

  function addDuration(migration: Migration, ms: number): void {
    durationsMs.set(migration, (durationsMs.get(migration) ?? 0) + ms);
  }

  /** Sends a transaction that holds records only. It works whatever the file has set for transactions. */
  async function record(parts: readonly Part[], within: Migration): Promise<void> {
    const begin = beginParts("begin isolation level read committed read write", lockTimeoutMs);
    await transact([RUN_DEFERRED, ...parts], within, begin);
  }

  /** Returns the parts that follow the statements of a slice in its transaction. */
  function recordParts(slice: Slice): readonly Part[] {
    const { migration, done, completes } = slice;
    if (!completes) {
      const reached = checkpointOf(migration, done, null);
      return [...ownRoleParts(migration, role), ...checkpointParts(reached)];
    }
    const row: Part = { kind: "ledger-row", migration, ...ledgerRowInsert(target, migration) };
    const was = findCheckpoint(ledger.checkpoints, migration);
    const clean: Part = {
      kind: "checkpoint",
      ...checkpointDelete(target.place, migration, was),
      gone: [migration.tag, was?.tag ?? migration.tag],
    };
    const reset = sessionResetParts(migration, lockTimeoutMs, connection.ownSettings);
    const entry = historyParts(entryOf(migration));
    return [...reset, row, ...entry, ...(target.checkpointsExist ? [clean] : [])];
  }

  /** Returns the row of the history. What this run did for the migration in earlier transactions counts by our own clock. */
  function entryOf(migration: Migration): Sending | null {
    const before = findCheckpoint(ledger.checkpoints, migration);
    return keeper.entry(target.place, {
      ...{ migration, executor: "statements", doneBefore: before?.done ?? 0 },
      spentMs: durationsMs.get(migration) ?? 0,
      elapsedMs: performance.now() - (begunAt.get(migration) ?? performance.now()),
    });
  }

  /** Takes note that the work on these migrations spans more than one transaction. */
  function begins(slices: readonly Slice[]): void {
    for (const { migration } of slices) {
      if (!begunAt.has(migration)) begunAt.set(migration, performance.now());
    }
  }

  /** Returns the migration whose settings are in force when a transaction begins. */
  function workingIn(next: Migration): Migration {
    return owed?.completes === true ? owed.migration : next;
  }

  /** Returns the record of the slice that is owed. What follows it in its own migration says as much, and more. */
  function owedParts(): readonly Part[] {
    return owed?.completes === true ? recordParts(owed) : [];
  }

  function checkpointParts(checkpoint: Checkpoint): readonly Part[] {
    const create: Part = { kind: "checkpoint", text: createCheckpoints(target.place) };
    const now = { now: checkpoint, ...checkpointUpsert(target.place, checkpoint) };
    const upsert: Part = { kind: "checkpoint", ...now };
    return target.checkpointsExist ? [upsert] : [create, upsert];
  }

  async function checkpoint(...facts: Parameters<typeof checkpointOf>): Promise<void> {
    const [migration] = facts;
    const reached = checkpointOf(...facts);
    const own = [...ownRoleParts(migration, role), ...checkpointParts(reached)];
    await record([...owedParts(), ...own], workingIn(migration));
    target = { ...target, checkpointsExist: true };
    written.set(migration, reached);
  }

  function latest(migration: Migration): Checkpoint | null {
    return written.get(migration) ?? findCheckpoint(ledger.checkpoints, migration) ?? null;
  }

  /** Drops what an earlier try has left INVALID, also where its statement was edited into another one since. */
  async function tidy({ migration, statements: [next = 0] }: Slice): Promise<readonly Warning[]> {
    const before = latest(migration)?.before ?? null;
    if (before === null) return [];
    const { dropLeft } = await import("./invalid-indexes.ts");
    const effect = migration.statements[next]?.effect;
    const wanted = effect?.kind === "drops-indexes" ? effect.indexes : [];
    try {
      return await dropLeft(connection, before, migration.tag, wanted);
    } catch (thrown) {
      throw migrationFailed(thrown, migration, next);
    }
  }

  /** Ends the settings of a file that still waits for its record, before another file's names are looked up. */
  async function leaveFor(next: Migration): Promise<void> {
    if (owed?.completes !== true || owed.migration === next) return;
    const reset = sessionResetParts(owed.migration, lockTimeoutMs, connection.ownSettings);
    if (reset.length > 0) await writeOwed();
  }

  /** Repeats the session settings of the statements that are done: a new session lacks them. */
  async function resume({ migration, statements: [first = 0] }: Slice): Promise<void> {
    if (resumed.has(migration)) return;
    resumed.add(migration);
    if (findCheckpoint(ledger.checkpoints, migration) === undefined) return;
    const settings = settingsIn(migration, first);
    if (settings.length > 0) await leaveFor(migration);
    for (const each of settings) await connection.query(statementText(migration, each));
    await expectTemporary(connection, migration, first);
  }

  async function applyTransaction(step: TransactionStep): Promise<AppliedStep> {
    const { slices } = step;
    const [first] = slices;
    if (first === undefined) return report([]);
    begins(slices.filter(({ completes }) => !completes));
    await resume(first);
    const warnings = await tidy(first);
    const head = headOf(first);
    const begin = [
      ...beginParts(step.begin ?? "begin", waitsItsOwn(first) ? null : lockTimeoutMs),
      ...statementParts(first.migration, lockTimeoutMs, head),
    ];
    const body = slices.map((slice) =>
      statementParts(
        slice.migration,
        lockTimeoutMs,
        slice.statements.slice(slice === first ? head.length : 0),
      ),
    );
    if (isReadOnly(step, head)) await applyReadOnly(first, [...begin, ...body.flat(), COMMIT]);
    else await applyRecorded(slices, first, begin, body);
    return report(warnings);
  }

  /** Sends a transaction with its record. */
  async function applyRecorded(
    slices: readonly Slice[],
    first: Slice,
    begin: readonly Part[],
    body: readonly (readonly Part[])[],
  ): Promise<void> {
    const parts = slices.flatMap((slice, index) => [
      ...(body[index] ?? []),
      ...releaseParts(slice.migration, slice.statements),
      ...(index < slices.length - 1 ? constraintsParts(slice.migration) : [RUN_DEFERRED]),
      ...recordParts(slice),
    ]);
    const hasHead = begin.some(({ kind }) => kind === "statement");
    const within = owed === null && isAtHead(first) && !hasHead ? null : workingIn(first.migration);
    await transact([...owedParts(), ...parts], within, begin);
    recorded(slices);
    if (slices.at(-1)?.completes === false) target = { ...target, checkpointsExist: true };
  }

  /** Sends a transaction that its author wants read-only. It cannot hold its own record. */
  async function applyReadOnly(slice: Slice, parts: readonly Part[]): Promise<void> {
    await writeOwed();
    const took = await sendTransaction(connection, parts, {
      explainLedger: (thrown) => thrown,
    });
    for (const [migration, ms] of took) addDuration(migration, ms);
    owed = slice;
  }

  async function applyAlone(slice: Slice, index: number): Promise<AppliedStep> {
    const { migration } = slice;
    // What the server has done is not sent again where its record had to be.
    const warnings = owed === slice ? [] : await runOnce(slice, index);
    if (!isFindable(migration, index)) await writeAtLast();
    return report(warnings);
  }

  async function runOnce(slice: Slice, index: number): Promise<readonly Warning[]> {
    const { migration } = slice;
    begins([slice]);
    await leaveFor(migration);
    await resume(slice);
    const dropped = await tidy(slice);
    const { runAlone } = await import("./standalone.ts");
    const { warnings, durationMs } = await runAlone({
      connection,
      migration,
      index,
      lockTimeoutMs: lockTimeoutOf(migration, index, lockTimeoutMs),
      checkpoint: latest(migration),
      lockouts,
      record: async (running, before) => {
        await checkpoint(migration, index, running, before);
        recorded([]);
      },
    });
    owed = slice;
    // DISCARD ALL has taken away our own settings, too.
    if (migration.statements[index]?.kind === "DiscardStmt")
      await connection.cleanUp(connection.ownSettings);
    written.set(migration, checkpointOf(migration, slice.done, null));
    addDuration(migration, durationMs);
    return [...dropped, ...warnings];
  }

  /** Takes note that the ledger has the record of these slices, and of the one that was owed. */
  function recorded(slices: readonly Slice[]): void {
    const all = owed === null ? slices : [owed, ...slices];
    unreported.push(...all.filter(({ completes }) => completes));
    owed = null;
  }

  async function writeOwed(): Promise<void> {
    if (owed === null) return;
    const { migration, done, completes } = owed;
    if (completes) await record(recordParts(owed), migration);
    else await checkpoint(migration, done, null);
    recorded([]);
  }

  /** Reports the migrations that were completed since the last report. */
  function report(warnings: AppliedStep["warnings"]): AppliedStep {
    const applied = unreported
      .splice(0)
      .map(({ migration }) =>
        describeApplied(migration, Math.round(durationsMs.get(migration) ?? 0)),
      );
    return { applied, place: target.place, warnings: [...warnings, ...keeper.warnings()] };
  }

  /** Writes what is owed also where the time is over: only this run knows that the server has done it. */
  async function writeAtLast(): Promise<void> {
    try {
      await writeOwed();
    } catch (thrown) {
      if (!(thrown instanceof MigratorError) || !STOPS.includes(thrown.code)) throw thrown;
      await connection.lastWords(writeOwed);
    }
  }

  async function settle(): Promise<AppliedStep> {
    await writeAtLast();
    return report([]);
  }

  /** Whether there is another place for a ledger that could not be created where it belongs. */
  function triesElsewhere(): boolean {
    if (!refused.includes(target.place)) return false;
    try {
      target = chooseWritePlace(ledger, role, refused);
      return true;
    } catch {
      // The refusal says more than that there is no other place.
      return false;
    }
  }

  async function apply(step: Step): Promise<AppliedStep> {
    const slices = slicesOf(step);
    try {
      return step.kind === "alone"
        ? await applyAlone(step.slice, step.index)
        : await applyTransaction(step);
    } catch (thrown) {
      if (triesElsewhere()) return await apply(step);
      throw withProgress(thrown, slices);
    }
  }

  const withoutCheckpoints = () =>
    target.checkpointsExist && known.checkpoints.size === 0 ? target.place : null;

  return { name: "statements", apply, settle, withoutCheckpoints };
}
