import { MigratorError } from "../errors.ts";
import type { HistoryRun } from "../history/runs.ts";
import { counted, quoted } from "../text.ts";

/** The moment to go back to. */
export interface Point {
  /** The position in the write-ahead log; null where only a time is known. */
  readonly lsn: string | null;
  /** ISO 8601 in UTC. */
  readonly time: string;
  /** The run whose first write came behind it; null where a time was asked for. */
  readonly run: PointRun | null;
}

/** The run that a point lies before. */
export interface PointRun {
  readonly requestId: string;
  readonly by: string;
  readonly status: HistoryRun["status"];
  /** The tags of the migrations that it applied, in their order. */
  readonly migrations: readonly string[];
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?Z$/;

/** Reads a time, as ISO 8601 in UTC (`2026-11-29T09:09:00Z`); null for any other text. */
export function pointInTime(text: string): Point | null {
  const date = new Date(TIME.test(text) ? text : Number.NaN);
  if (Number.isNaN(date.getTime())) return null;
  return { lsn: null, time: date.toISOString(), run: null };
}

/**
 * Finds the point before a run, which a request id names, or before the run that applied a migration, which a tag names.
 * @param runs the newest first
 * @throws MigratorError `RESTORE_POINT_UNKNOWN`
 */
export function pointBefore(before: string, runs: readonly HistoryRun[]): Point {
  const run = runOf(before, runs);
  const { restorePoint } = run;
  if (restorePoint === null) {
    throw unknown(
      `The history does not say where the log was before the run ${run.requestId}. Name a time: it ended at ${run.endedAt}.`,
    );
  }
  const { requestId, by, status, migrations } = run;
  const described = { requestId, by, status, migrations: migrations.map(({ tag }) => tag) };
  return { ...restorePoint, run: described };
}

function runOf(before: string, runs: readonly HistoryRun[]): HistoryRun {
  // A call that was delivered again has the same id. The point before all of it is that of the first.
  const asked = runs.findLast(({ requestId }) => requestId === before);
  if (asked !== undefined) return asked;
  const applied = runs.find(({ migrations }) => migrations.some(({ tag }) => tag === before));
  if (applied !== undefined) return whole(before, applied);
  const failed = runs.filter(({ error }) => error?.migration === before);
  if (failed.length > 0) {
    throw unknown(
      `No run has applied ${before}. ${counted(failed.length, "run")} failed at it: ${listed(failed)}. Name one by its request id.`,
    );
  }
  throw unknown(
    `${quoted(before)} is no request id and no tag in the history of this database. neon-migrate history lists both. A time is written as 2026-11-29T09:09:00Z.`,
  );
}

/** @throws MigratorError where the run had only the rest of a migration to do: the point before it has the beginning */
function whole(tag: string, run: HistoryRun): HistoryRun {
  const done = run.migrations.find((each) => each.tag === tag)?.statementsBefore ?? 0;
  if (done === 0) return run;
  throw unknown(
    `The run ${run.requestId} has finished ${tag}, and an earlier run had done ${counted(done, "statement")} of it. Name the request id of the one that you mean: neon-migrate history lists both.`,
  );
}

/** So many runs are named. */
const MAX_NAMED = 5;

function listed(runs: readonly HistoryRun[]): string {
  const named = runs
    .slice(0, MAX_NAMED)
    .map(({ requestId, endedAt }) => `${requestId} (${endedAt})`);
  const more = runs.length - named.length;
  return `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function unknown(message: string): MigratorError {
  return new MigratorError("RESTORE_POINT_UNKNOWN", message);
}
