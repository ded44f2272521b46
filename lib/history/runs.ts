import { callerInWords } from "../caller-words.ts";
import type { HistoryEntry } from "./read.ts";

/** One run, with the rows that it has written. */
export interface HistoryRun {
  readonly requestId: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** The work on its migrations, in ms; of a run that failed, all of its time. */
  readonly durationMs: number;
  readonly status: "applied" | "failed";
  /** In words. */
  readonly by: string;
  readonly caller: HistoryEntry["caller"];
  readonly role: string | null;
  readonly executor: string | null;
  readonly bundleHash: string | null;
  readonly version: string | null;
  readonly restorePoint: HistoryEntry["restorePoint"];
  /** The migrations that it applied, in their order. */
  readonly migrations: readonly RunMigration[];
  /** The end of a run that failed; null for any other. */
  readonly error: (HistoryEntry["error"] & { readonly migration: string | null }) | null;
}

/** A migration in a run. */
export interface RunMigration {
  readonly tag: string;
  readonly hash: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly durationMs: number;
  readonly statements: number | null;
  readonly statementsBefore: number | null;
}

/** Puts the rows of each run together. The newest run comes first. @param entries the newest first */
export function runsOf(entries: readonly HistoryEntry[]): readonly HistoryRun[] {
  const runs = new Map<string, HistoryEntry[]>();
  for (const entry of entries) {
    // A call that Lambda delivers again has the same id, and another restore point.
    const key = `${entry.requestId} ${entry.restorePoint?.time}`;
    runs.set(key, [entry, ...(runs.get(key) ?? [])]);
  }
  return [...runs.values()].map(runOf);
}

/** @param rows the oldest first; at least one */
function runOf(rows: readonly HistoryEntry[]): HistoryRun {
  const [first] = rows;
  const last = rows.at(-1);
  if (first === undefined || last === undefined) throw new Error("A run without a row.");
  const failed = rows.findLast(({ kind }) => kind === "failed");
  const written = rows.filter(({ kind, tag }) => kind !== "failed" && tag !== null);
  const sum = written.reduce((ms, { durationMs }) => ms + (durationMs ?? 0), 0);
  const { requestId, caller, role, bundleHash, version, restorePoint } = first;
  return {
    ...{ requestId, startedAt: (failed ?? first).startedAt, endedAt: last.endedAt },
    durationMs: failed?.durationMs ?? sum,
    status: failed === undefined ? "applied" : "failed",
    ...{ by: byOf(first), caller, role, executor: last.executor, bundleHash, version },
    restorePoint,
    migrations: written.map(describe),
    error: failed?.error == null ? null : { ...failed.error, migration: failed.tag },
  };
}

function describe(entry: HistoryEntry): RunMigration {
  const { tag, hash, startedAt, endedAt, durationMs, statements, statementsBefore } = entry;
  return {
    ...{ tag: tag ?? "", hash: hash ?? "", startedAt, endedAt, durationMs: durationMs ?? 0 },
    ...{ statements, statementsBefore },
  };
}

/** Says in words who ran: the caller, or where nobody has said that, the role. */
export function byOf({ caller, role }: Pick<HistoryEntry, "caller" | "role">): string {
  const said = caller === null ? null : callerInWords(caller);
  return said ?? (role === null ? "" : `role ${role}`);
}
