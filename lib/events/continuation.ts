import { isCount, isRecord } from "../json.ts";
import type { Report } from "../report/report.ts";
import type { Request } from "../request.ts";

/** The longest time that CloudFormation and CodeDeploy wait. */
const LOCK_TIMEOUT_MS = 3_600_000;

/** The state that a call hands on to the next one, where a caller lets work go on in another call. */
export interface Continuation {
  /** Epoch ms at which the first call began. */
  readonly since: number;
  /** How many migrations the calls so far have applied. */
  readonly applied: number;
  /** How many statements of the migrations that are still pending are done. */
  readonly done: number;
}

/**
 * Lets a deployment wait for the lock as long as it can. The run that holds the lock may be this very request,
 * delivered twice, or a run that was given up and is being rolled back: to answer that it failed while it goes on
 * would be wrong. The function's own deadline comes before.
 */
export function withPatience(fields: unknown): unknown {
  return isRecord(fields) ? { lockTimeoutMs: LOCK_TIMEOUT_MS, ...fields } : fields;
}

/** Reads the state that an earlier call handed on. Anything else begins a run. */
export function readContinuation(value: unknown, now: number): Continuation {
  const { since, applied, done } = isRecord(value) ? value : {};
  const begun = isCount(since) && since <= now;
  return begun && isCount(applied) && isCount(done)
    ? { since, applied, done }
    : { since: now, applied: 0, done: 0 };
}

/** Shortens a request's durations, which span all its calls, to the time that is left for a call that begins now. */
export function remainderOf(request: Request, { since }: Continuation, now: number): Request {
  const { lockTimeoutMs, timeoutMs } = request;
  return {
    ...request,
    lockTimeoutMs: Math.max(lockTimeoutMs - (now - since), 0),
    timeoutMs: timeoutMs === null ? null : Math.max(timeoutMs - (now - since), 1),
  };
}

/**
 * Returns the state to hand on, where another call may do better; null where the answer is final. Waiting goes on
 * until `lockTimeoutMs` is over. A run out of time goes on only after progress: a migration that takes longer
 * than the function may run would be rolled back again and again.
 * @param request as its caller sent it, its durations whole
 */
export function continuationOf(
  report: Report,
  request: Request,
  before: Continuation,
  now: number,
): Continuation | null {
  const { since } = before;
  const left = (limitMs: number | null) => limitMs === null || now - since < limitMs;
  const done = report.pending.reduce((sum, migration) => sum + migration.done, 0);
  const next = { since, applied: before.applied + report.applied.length, done };
  if (!left(request.timeoutMs)) return null;
  switch (report.error?.code) {
    case "LOCKED":
    case "LOCK_TIMEOUT":
      return left(request.lockTimeoutMs) ? next : null;
    case "LOCK_LOST":
    case "LEDGER_CHANGED":
      // Somebody else migrates right now. A ledger that the run itself has changed will be changed again.
      return report.error.retryable && left(request.lockTimeoutMs) ? next : null;
    case "DEADLINE":
      return report.applied.length > 0 || done > before.done ? next : null;
    default:
      return null;
  }
}

/**
 * Makes the `nextCall` of a caller: asks `continuationOf` about a report that has just been made, and takes an event that
 * cannot be read for one whose report is final.
 * @param requestIn reads the call's request
 * @param continuationIn reads the continuation that the call got; without one, it began at this time
 */
export function nextCallBy(
  requestIn: () => Request,
  continuationIn: (begun: number) => Continuation,
): (report: Report) => Continuation | null {
  return (report) => {
    try {
      const now = Date.now();
      const before = continuationIn(now - report.timings.totalMs);
      return continuationOf(report, requestIn(), before, now);
    } catch {
      return null;
    }
  };
}
