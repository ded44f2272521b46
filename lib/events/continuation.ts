import { isCount, isRecord } from "../json.ts";
import type { Report } from "../report/report.ts";
import type { Request } from "../request.ts";

/** As long as CloudFormation and CodeDeploy wait at most. */
const LOCK_TIMEOUT_MS = 3_600_000;

/** What a call hands on to the next one, where a caller lets work go on in another call. */
export interface Continuation {
  /** Epoch ms at which the first call began. */
  readonly since: number;
  /** How many migrations the calls so far have applied. */
  readonly applied: number;
  /** How many statements of the migrations that are still pending are done. */
  readonly done: number;
}

/**
 * A deployment waits for the lock as long as it can: the run that holds it may be this very request,
 * delivered twice, or one that was given up on and is being rolled back. To answer that it failed while
 * it goes on would be wrong. The function's own deadline comes before.
 */
export function withPatience(fields: unknown): unknown {
  return isRecord(fields) ? { lockTimeoutMs: LOCK_TIMEOUT_MS, ...fields } : fields;
}

/** Reads what an earlier call handed on. Anything else is the beginning of a run. */
export function readContinuation(value: unknown, now: number): Continuation {
  const { since, applied, done } = isRecord(value) ? value : {};
  const begun = isCount(since) && since <= now;
  return begun && isCount(applied) && isCount(done)
    ? { since, applied, done }
    : { since: now, applied: 0, done: 0 };
}

/** A request's durations span all calls: what is left of them for one that begins now. */
export function remainderOf(request: Request, { since }: Continuation, now: number): Request {
  const { lockTimeoutMs, timeoutMs } = request;
  return {
    ...request,
    lockTimeoutMs: Math.max(lockTimeoutMs - (now - since), 0),
    timeoutMs: timeoutMs === null ? null : Math.max(timeoutMs - (now - since), 1),
  };
}

/**
 * What to hand on, where another call may do better; null where the answer is final. Waiting goes on
 * until `lockTimeoutMs` is over. A deadline goes on only after progress: a migration that takes longer
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
    case "DEADLINE":
      return report.applied.length > 0 || done > before.done ? next : null;
    default:
      return null;
  }
}

/**
 * The same for a report that has just been made, as an event source's `nextCall`: null also where the event cannot be read.
 * @param requestIn reads the call's request
 * @param continuationIn reads what the call was handed, or begins at this time
 */
export function nextCallBy<Event>(
  requestIn: (event: Event) => Request,
  continuationIn: (event: Event, begun: number) => Continuation,
): (event: Event, report: Report) => Continuation | null {
  return (event, report) => {
    try {
      const now = Date.now();
      const before = continuationIn(event, now - report.timings.totalMs);
      return continuationOf(report, requestIn(event), before, now);
    } catch {
      return null;
    }
  };
}
