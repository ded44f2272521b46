import { type ErrorCode, MigratorError } from "../errors.ts";
import type { Failure } from "../history/entry.ts";
import { recordFailedRun } from "../history/failed-run.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { readLedger } from "../ledger/read.ts";
import type { Attempt } from "./attempt.ts";
import { historyOf } from "./history-of.ts";

/**
 * Failures without a row: the session is gone, or must not be written on; or the run never had the lock, and another run has.
 */
const UNRECORDED: readonly ErrorCode[] = [
  ...(["CONNECTION_LOST", "POOLED_CONNECTION", "READ_ONLY", "LOCKED", "LOCK_LOST"] as const),
];

/**
 * Writes a run that failed into the history, as well as it goes. Never rejects.
 * @param known the ledger as the run has planned by it; null where it did not come so far
 */
export async function recordFailure(
  self: Attempt<"ledger">,
  known: Ledger | null,
  thrown: unknown,
): Promise<void> {
  try {
    if (isRecorded(thrown)) await record(self, known, thrown);
  } catch {
    // The answer tells of the failure of the run. This one comes on top.
  }
}

function isRecorded(thrown: unknown): boolean {
  if (!(thrown instanceof MigratorError)) return true;
  return thrown.facts.unconfirmed !== true && !UNRECORDED.includes(thrown.code);
}

async function record(
  self: Attempt<"ledger">,
  known: Ledger | null,
  thrown: unknown,
): Promise<void> {
  const { connection, bundle } = self;
  const ledger = known ?? readLedger(connection.opening.ledger, connection.database.role, bundle);
  const { error, executor, timings } = self.failed(thrown);
  if (error === undefined) return;
  const { code, sqlstate, statement, publicMessage: message } = error;
  const failure: Failure = { code, sqlstate, statement: statement?.index ?? null, message };
  const migration = bundle.migrations.find(({ tag }) => tag === error.migration) ?? null;
  const checkpoint = ledger.checkpoints.find(({ tag }) => tag === error.migration);
  const run = { migration, executor, failure, doneBefore: checkpoint?.done ?? 0 };
  await recordFailedRun(
    connection,
    ledger,
    await historyOf(self),
    { ...run, tookMs: timings.totalMs },
    known !== null,
  );
}
