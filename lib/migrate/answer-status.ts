import { toError } from "../errors.ts";
import { describeApplied } from "../execute/executor.ts";
import type { HistoryEntry, HistoryRead } from "../history/read.ts";
import { byOf } from "../history/runs.ts";
import type { LedgerRow } from "../ledger/ledger.ts";
import { findHolder } from "../ledger/lock.ts";
import { matchRows } from "../plan/match.ts";
import type { RunningRun } from "../report/report.ts";
import type { Attempt } from "./attempt.ts";
import type { Planned } from "./make-plan.ts";

/** Answers `status`: what is applied and since when, and which run is under way. It takes no lock. */
export async function answerStatus(
  self: Attempt,
  { ledger, plan }: Planned,
  { entries }: HistoryRead,
): Promise<void> {
  const { rowOf, unknown } = matchRows(self.bundle, ledger.rows);
  self.progress.answered({
    applied: plan.applied.map((migration) => {
      const row = rowOf.get(migration);
      const entry = row === undefined ? undefined : entryOf(row, migration.tag, entries);
      return {
        ...describeApplied(migration, entry?.durationMs ?? null),
        appliedAt: appliedAt(row) ?? entry?.endedAt ?? null,
        appliedBy: entry === undefined ? null : byOf(entry),
        requestId: entry?.requestId ?? null,
      };
    }),
    drift: {
      ...plan.drift,
      unknown: unknown.map((row) => {
        const { hash, when, name } = row;
        return { hash, when, name, appliedAt: appliedAt(row) };
      }),
    },
  });
  await findRunning(self);
}

/** Finds the newest word of the history about a ledger row. `drizzle-kit up` may have changed the tag since. */
function entryOf(
  { hash }: LedgerRow,
  tag: string,
  entries: readonly HistoryEntry[],
): HistoryEntry | undefined {
  const found = entries.filter((each) => each.kind !== "failed" && each.hash === hash);
  return found.find((each) => each.tag === tag) ?? found[0];
}

/** Asks who holds the lock. Nothing about others fails a run. */
async function findRunning({ connection, target, progress }: Attempt): Promise<void> {
  progress.began("looking for a run that is under way");
  try {
    const holder = await findHolder(connection, target.ledger);
    progress.answered({ running: holder === undefined ? null : describeRunning(holder) });
  } catch (thrown) {
    const message = `Whether a run is under way is not known: the server does not say it (${toError(thrown).message}).`;
    progress.warned([{ code: "ACTIVITY_UNREAD", message }]);
  }
}

function describeRunning({
  pid,
  application,
  role,
  since,
  state,
  query,
}: Omit<RunningRun, "statement"> & { readonly query: string | null }): RunningRun {
  return { pid, application, role, since, state, statement: query };
}

/** Returns the time of a row as ISO 8601 in UTC; null where the row has none, or none that a date can hold. */
function appliedAt(row: LedgerRow | undefined): string | null {
  const { appliedAt: text } = row ?? {};
  if (text === undefined) return null;
  // A column that was made by hand may be without a time zone. The server's clocks are in UTC.
  const date = new Date(/(?:Z|[+-]\d\d(?::?\d\d)?)$/.test(text) ? text : `${text}Z`);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
