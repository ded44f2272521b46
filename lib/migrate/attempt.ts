import type { Bundle } from "../bundle/bundle.ts";
import { connect } from "../connection/connect.ts";
import { MigratorError } from "../errors.ts";
import { openingLockQuestion } from "../ledger/pooler.ts";
import { ledgerQuestion } from "../ledger/read.ts";
import type { Log } from "../log.ts";
import type { Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import type { Target } from "../target/target.ts";
import { inspect } from "./inspect.ts";
import type { Attempt, Status } from "./make-plan.ts";
import { factsOf, type Milestone, milestones, type Progress, timed } from "./progress.ts";
import { apply } from "./up.ts";

/** What a run needs from outside. */
export interface Dependencies {
  readonly bundle: Bundle;
  /**
   * Where to run. Called inside the run, so that a secret that cannot be read becomes a failed report;
   * and once more when the login is refused, because the secret may have been rotated.
   */
  target(): Promise<Target> | Target;
  readonly requestId: string;
  /** Epoch ms by which the work must have stopped; null means no limit from outside. */
  readonly deadline: number | null;
  /** Epoch ms by which the connection is dropped where nothing else has helped. Default: some seconds behind the deadline. */
  readonly dropBy?: number;
  readonly log: Log;
  /** Told how far the run is, statement by statement. Must be quick, and must not throw. */
  readonly onProgress?: (done: Milestone) => void;
  /**
   * Given, as soon as the run begins, what ends it from outside: it drops the connection, and makes the report
   * of how far the run is. It waits for nothing.
   */
  readonly onStart?: (giveUp: (reason: unknown) => Report) => void;
}

/** How long a statement has at most to be cancelled, on a session of its own, before its connection is dropped. */
const CANCEL_GRACE_MS = 3_000;

/**
 * Makes one attempt: connects with the question for the ledger, does what is asked for, and hangs up.
 * @param progress is kept up to date, also when the attempt fails
 * @throws MigratorError for every failure; `CONNECTION_LOST` where another attempt may help
 */
export async function attempt(
  request: Request,
  target: Target,
  { bundle, requestId, log, onProgress, dropBy = Number.POSITIVE_INFINITY }: Dependencies,
  progress: Progress,
): Promise<Status> {
  const { deadline } = progress;
  const lock = request.action === "up" ? [openingLockQuestion(target)] : [];
  const opening = [...lock, ledgerQuestion(target.ledger)];
  const milestone = milestones(progress);
  progress.doing = "connecting";
  const connection = await timed(progress, "connectMs", () =>
    connect(target, {
      ...{ requestId, deadline, log, opening },
      onTurn: (place) => {
        progress.place = place;
        progress.doing = null;
        onProgress?.(milestone(place));
      },
    }),
  );
  log("connected", { pid: connection.backendPid, connectMs: progress.timings.connectMs });
  if (progress.facts.database === undefined) {
    for (const { code, message } of connection.warnings) progress.warn(code, message);
  }
  progress.facts = { ...progress.facts, database: connection.database };
  progress.connection = connection;
  const stop = () =>
    connection.interrupt(
      deadlinePassed(request),
      Math.max(Math.min(CANCEL_GRACE_MS, dropBy - Date.now()), 1),
      (helper) => progress.blockers?.look(helper) ?? Promise.resolve(),
    );
  const watchdog = setTimeout(() => void stop(), Math.max(deadline - Date.now(), 0));
  const self: Attempt = { request, target, bundle, connection, progress, log };
  try {
    // The login may have come so late that the watchdog has not had its turn.
    if (Date.now() >= progress.deadline) throw deadlinePassed(request);
    return request.action === "up" ? await apply(self) : await inspect(self);
  } finally {
    clearTimeout(watchdog);
    progress.facts = factsOf(progress);
    progress.connection = null;
    await connection.close();
  }
}

function deadlinePassed({ timeoutMs }: Request): MigratorError {
  const limit = timeoutMs === null ? "the function's time-out" : "timeoutMs";
  return new MigratorError(
    "DEADLINE",
    `The time for this run is over, so it was stopped; what was not committed is rolled back. Raise ${limit}, or split the migration.`,
    { retryable: true },
  );
}
