import { type Migration, statementText } from "../bundle/bundle.ts";
import { lockTimeoutOf } from "../bundle/steps.ts";
import type { Connection, Whereabouts } from "../connection/connection.ts";
import { SendFailure, type Sending } from "../connection/pipeline.ts";
import { MigratorError } from "../errors.ts";
import type { HistoryKeeper } from "../history/keeper.ts";
import type { Checkpoint } from "../ledger/checkpoints.ts";
import type { Known } from "../ledger/guard.ts";
import { postgresFacts } from "../postgres/errors.ts";
import type { LedgerPlace } from "../target/target.ts";
import type { Watched } from "./lockouts.ts";
import {
  type Around,
  bookkeepingFailed,
  commitFailed,
  migrationFailed,
} from "./statement-errors.ts";

/** One text to send within a transaction, with its part in it. */
export type Part =
  | (Sending & {
      readonly kind:
        | "begin"
        | "setting"
        | "constraints"
        | "ledger"
        | "history"
        | "guard"
        | "commit";
    })
  /** `now`: the checkpoint that this writes; `gone`: the tags of those that it removes. */
  | (Sending & {
      readonly kind: "checkpoint";
      readonly now?: Checkpoint;
      readonly gone?: readonly string[];
    })
  | (Sending & {
      readonly kind: "statement";
      readonly migration: Migration;
      readonly index: number;
    })
  | (Sending & { readonly kind: "ledger-row"; readonly migration: Migration });

/**
 * Runs at the end of a transaction's statements what waits for the COMMIT: deferred constraints and triggers. So they
 * run with the settings of their file, and whatever they set, release or delete comes before the reset and the guard.
 */
export const RUN_DEFERRED: Part = { kind: "constraints", text: "set constraints all immediate" };

/**
 * Returns the parts that begin a transaction. They bound each wait for a lock, because everybody queues behind a
 * statement that waits.
 * @param lockTimeoutMs null keeps the session's own setting
 */
export function beginParts(begin: string, lockTimeoutMs: number | null): readonly Part[] {
  const first: Part = { kind: "begin", text: begin };
  return lockTimeoutMs === null ? [first] : [first, lockTimeoutPart(lockTimeoutMs)];
}

/**
 * Returns all statements of a migration, or those with these indexes, in order. A lock time-out from a directive is
 * set before its statement, and taken back behind it.
 */
export function statementParts(
  migration: Migration,
  lockTimeoutMs: number,
  indexes: readonly number[] = Array.from(migration.statements.keys()),
): readonly Part[] {
  let inForceMs = lockTimeoutMs;
  const switchTo = (wantedMs: number): readonly Part[] => {
    if (wantedMs === inForceMs) return [];
    inForceMs = wantedMs;
    return [lockTimeoutPart(wantedMs)];
  };
  const parts = indexes.flatMap((index): readonly Part[] => {
    const statement = migration.statements[index];
    if (statement === undefined) return [];
    const text = statementText(migration, statement);
    const setting = switchTo(lockTimeoutOf(migration, index, lockTimeoutMs));
    const part: Part = { kind: "statement", text, migration, index, mayLag: true };
    // RESET ALL takes our bound away, too, and does not mean that.
    const isReset = statement.kind === "VariableSetStmt" && /^reset\s+all$/i.test(text);
    return [...setting, part, ...(isReset ? [lockTimeoutPart(inForceMs)] : [])];
  });
  return [...parts, ...switchTo(lockTimeoutMs)];
}

/** Returns the part that bounds each wait for a lock of the statements behind it. */
export function lockTimeoutPart(ms: number): Part {
  return { kind: "setting", text: `set local lock_timeout = ${ms}` };
}

/** Returns the parts that guard a transaction, from their statements. */
export function guardParts(statements: readonly Sending[]): readonly Part[] {
  return statements.map((each) => ({ kind: "guard", ...each }));
}

/**
 * Returns the parts that go ahead of a transaction which locks others out. They have the server look up everything that it
 * needs to know for its last parts: a fresh session spends more time on that than on the parts, and behind the first lock
 * others would wait for it. EXPLAIN plans a statement, and does not execute it.
 * @param parts the parts of the transaction, without its guard
 * @param closing the guard at its end
 */
export function rehearsedParts(parts: readonly Part[], closing: readonly Part[]): readonly Part[] {
  const history = parts.filter(({ kind }) => kind === "history");
  // A table that this very transaction creates is not there yet.
  const rows = history.every(({ values }) => values !== undefined) ? history.slice(0, 1) : [];
  return [...rows, ...closing].map(({ name: _name, ...part }) => ({
    ...part,
    text: `explain ${part.text}`,
  }));
}

/**
 * The server refused a row of the history, or its table. The transaction is rolled back, and nothing else was wrong with it
 * so far: it can be sent again without.
 */
export class HistoryRefused extends Error {
  constructor(cause: unknown) {
    super("The server refused a row of the history.", { cause });
    this.name = "HistoryRefused";
  }
}

/** Returns the part that writes a row of the history; none without one. */
export function historyParts(row: Sending | null): readonly Part[] {
  return row === null ? [] : [{ kind: "history", mayLag: true, ...row }];
}

/**
 * Sends a transaction with its history, and once more without where the server refuses that.
 * @param send sends these parts as a whole, and rolls back where it fails
 */
export async function withHistory<Result>(
  parts: readonly Part[],
  { keeper, place }: { readonly keeper: HistoryKeeper; readonly place: LedgerPlace },
  send: (parts: readonly Part[]) => Promise<Result>,
): Promise<Result> {
  const first = parts.findIndex(({ kind }) => kind === "history");
  if (first < 0) return await send(parts);
  try {
    const created = historyParts(keeper.creation(place));
    const rows = namedRows(parts.slice(first), keeper);
    const result = await send([...parts.slice(0, first), ...created, ...rows]);
    keeper.kept();
    return result;
  } catch (thrown) {
    if (!(thrown instanceof HistoryRefused)) throw thrown;
    keeper.refused(thrown.cause);
    return await send(parts.filter(({ kind }) => kind !== "history"));
  }
}

/**
 * Statements that make the server forget the texts that it has parsed. DISCARD TEMP, which stands behind most files, is none of
 * them (PostgreSQL documentation, "DISCARD").
 */
const FORGETS = /\bdeallocate\b|\bdiscard\b(?!\s+temp(?:orary)?\s*$)/i;

/** Lets the server parse the INSERT of the history once for all rows of a transaction: that is most of its price. */
function namedRows(parts: readonly Part[], keeper: HistoryKeeper): readonly Part[] {
  let name = keeper.nextName();
  return parts.map((part) => {
    if (part.kind === "history") return { ...part, name };
    if (FORGETS.test(part.text)) name = keeper.nextName();
    return part;
  });
}

/** Returns the migrations whose ledger rows are among these parts. */
export function recordedIn(parts: readonly Part[]): readonly Migration[] {
  return parts.flatMap((each) => (each.kind === "ledger-row" ? [each.migration] : []));
}

/** Returns the content of the ledger once these parts are committed. */
export function knownAfter(known: Known, parts: readonly Part[]): Known {
  const checkpoints = new Map(known.checkpoints);
  for (const part of parts) {
    if (part.kind !== "checkpoint") continue;
    if (part.now !== undefined) checkpoints.set(part.now.tag, part.now);
    for (const tag of part.gone ?? []) checkpoints.delete(tag);
  }
  return { ...known, rows: known.rows + recordedIn(parts).length, checkpoints };
}

/** The parts of a run that learn from a transaction. */
export interface Surroundings {
  /** Turns a refusal of our own bookkeeping into an error that says what is missing. */
  explainLedger(thrown: unknown, kind: Part["kind"]): unknown;
  /** Keeps the time in which the transaction locked others out, and has its series. Default: nobody does. */
  readonly watched?: Watched;
}

/**
 * Sends a whole transaction, its `begin` and `commit` included, and waits for the answer to all of it.
 * @returns the time that each migration in it took, in ms
 * @param surroundings the parts of the run that learn from it
 * @throws MigratorError that names migration and statement. The transaction is rolled back, and a ROLLBACK that fails
 *   does not hide the first error
 */
export async function sendTransaction(
  connection: Connection,
  parts: readonly Part[],
  { explainLedger, watched }: Surroundings,
): Promise<ReadonlyMap<Migration, number>> {
  // Until the server turns to the first statement, everything that it says counts for that statement.
  connection.turnTo(placeOf(parts.find((part) => migrationOf(part) !== null)));
  try {
    const durationsMs = await connection.sendAll(watched?.series ?? parts, (index) =>
      connection.turnTo(placeOf(parts[index])),
    );
    watched?.committed();
    return durationsOf(parts, durationsMs);
  } catch (thrown) {
    connection.turnTo(null);
    // An error has the server release the locks at once, ahead of the ROLLBACK.
    watched?.failed(thrown instanceof SendFailure ? thrown.cause : thrown);
    await rollBack(connection);
    if (!(thrown instanceof SendFailure)) throw thrown;
    throw explain(parts, thrown, explainLedger);
  }
}

function migrationOf(part: Part | undefined): Migration | null {
  return part !== undefined && "migration" in part ? part.migration : null;
}

function placeOf(part: Part | undefined): Whereabouts | null {
  const migration = migrationOf(part);
  if (part === undefined || migration === null) return null;
  const index = part.kind === "statement" ? part.index : migration.statements.length;
  return { migration: migration.tag, index };
}

/** Rolls back. A ROLLBACK that fails means that the session is gone, and the transaction with it. */
async function rollBack(connection: Connection): Promise<void> {
  try {
    await connection.cleanUp("rollback");
  } catch {
    // The first error is the one that is reported.
  }
}

function explain(
  parts: readonly Part[],
  { index, exact, cause }: SendFailure,
  explainLedger: Surroundings["explainLedger"],
): unknown {
  const part = parts[index];
  if (part === undefined) return cause;
  switch (part.kind) {
    case "statement":
      return migrationFailed(cause, part.migration, part.index, exact);
    case "constraints":
    case "commit":
      return commitFailed(cause, [...new Set(parts.flatMap((each) => migrationOf(each) ?? []))]);
    case "history":
      if (isOfHistory(cause)) return new HistoryRefused(cause);
      return bookkeepingFailed(cause, around(parts, index));
    default:
      return bookkeepingFailed(explainLedger(cause, part.kind), around(parts, index));
  }
}

/** A transaction that collided with others is at fault as a whole. */
const SERIALIZATION_FAILURE = "40001";

/** Whether the server, on a session that lives, has refused what is about the history. */
function isOfHistory(cause: unknown): boolean {
  if (cause instanceof MigratorError) return false;
  const sqlstate = postgresFacts(cause)?.sqlstate;
  return sqlstate !== undefined && sqlstate !== SERIALIZATION_FAILURE;
}

/** Returns the migration whose statements came last before a part, or else the first behind it. */
function around(parts: readonly Part[], index: number): Around | undefined {
  const before = parts.slice(0, index).findLast(({ kind }) => kind === "statement");
  const migration = migrationOf(before) ?? migrationOf(parts.slice(index).find(migrationOf));
  return migration === null ? undefined : { migration, ran: before !== undefined };
}

function durationsOf(
  parts: readonly Part[],
  durationsMs: readonly number[],
): ReadonlyMap<Migration, number> {
  const totals = new Map<Migration, number>();
  for (const [index, part] of parts.entries()) {
    const migration = migrationOf(part);
    if (migration === null) continue;
    totals.set(migration, (totals.get(migration) ?? 0) + (durationsMs[index] ?? 0));
  }
  return totals;
}
