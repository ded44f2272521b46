import type { Connection, Whereabouts } from "../connection/connection.ts";
import { withConnection } from "../connection/with-connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { openingLockQuestion } from "../ledger/pooler.ts";
import { ledgerQuestion } from "../ledger/read.ts";
import { redact } from "../report/redact.ts";
import { buildReport, failedReport, type Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import type { Target } from "../target/target.ts";
import { backoffMs, pause } from "../wait.ts";
import type { Attempt, Dependencies, Status } from "./attempt.ts";
import { inspect } from "./inspect.ts";
import { Progress } from "./progress.ts";
import { up } from "./up.ts";

export type { Dependencies } from "./attempt.ts";

/** With no limit from outside a run still ends, after as long as a Lambda function may run. */
const DEFAULT_TIMEOUT_MS = 900_000;

const ROTATED: Warning = {
  code: "SECRET_ROTATED",
  message:
    "The login was refused, so the secret was read again. It had another connection string by then, which was used.",
};

/** Somebody who ends our session again and again means it. */
const MAX_ATTEMPTS = 4;

/**
 * Runs one request against one database: connect, lock, read the ledger, plan, execute, report.
 * Never rejects: every failure is a report.
 */
export async function migrate(request: Request, dependencies: Dependencies): Promise<Report> {
  const { bundle, requestId } = dependencies;
  const asked = Date.now() + (request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const deadline = Math.min(asked, dependencies.deadline ?? asked);
  const progress = new Progress(bundle, deadline);
  const secrets: string[] = [];
  const failed = (thrown: unknown) =>
    redact(failedReport(requestId, progress.located(thrown), progress.facts()), secrets);
  dependencies.onStart?.((reason) => failed(progress.gaveUp(reason)));
  try {
    const findTarget = async () => {
      const target = await dependencies.target();
      secrets.push(target.url);
      return target;
    };
    const found = { ...dependencies, target: findTarget };
    const status = await runWithSecret(request, found, progress);
    return redact(buildReport(requestId, status, progress.facts()), secrets);
  } catch (thrown) {
    return failed(thrown);
  }
}

/** A password may be rotated between our reading it and our using it: then it is read once more. */
async function runWithSecret(
  request: Request,
  dependencies: Dependencies,
  progress: Progress,
): Promise<Status> {
  progress.began("reading the connection string");
  const target = await dependencies.target();
  try {
    return await attemptUntilAnswered(request, target, dependencies, progress);
  } catch (thrown) {
    const rotated = await rotatedTarget(thrown, target, dependencies);
    if (rotated === null) throw thrown;
    progress.warned([ROTATED]);
    return await attemptUntilAnswered(request, rotated, dependencies, progress);
  }
}

/**
 * A connection that is lost says nothing about what was committed, but the ledger does: so it is read
 * again, under the lock, and what is still pending is run again.
 */
async function attemptUntilAnswered(
  request: Request,
  target: Target,
  dependencies: Dependencies,
  progress: Progress,
): Promise<Status> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      const ledger = ledgerQuestion(target.ledger);
      const run = { request, target, dependencies, progress };
      return request.action === "up"
        ? await attempt(run, { lock: openingLockQuestion(target), ledger }, up)
        : await attempt(run, { ledger }, inspect);
    } catch (thrown) {
      const lost = thrown instanceof MigratorError && thrown.code === "CONNECTION_LOST";
      const pauseMs = backoffMs(attempts);
      const late = Date.now() + pauseMs >= progress.deadline;
      if (!lost || late || attempts >= MAX_ATTEMPTS) throw thrown;
      dependencies.log("run.again", { attempts, sqlstate: thrown.facts.sqlstate });
      const message = `Attempt ${attempts} broke off. ${thrown.message}`;
      progress.warned([{ code: thrown.code, message }]);
      progress.began("waiting to connect again");
      await pause(pauseMs);
    }
  }
}

/** What is found now, if that is something else. */
async function rotatedTarget(
  thrown: unknown,
  before: Target,
  { target, log }: Dependencies,
): Promise<Target | null> {
  if (!(thrown instanceof MigratorError) || thrown.code !== "LOGIN_FAILED") return null;
  try {
    const now = await target();
    if (now.url === before.url) return null;
    log("secret.rotated");
    return now;
  } catch (cause) {
    // The refused login is what is to be mended; that nothing can be read any more comes on top.
    log("secret.unreadable", { code: cause instanceof MigratorError ? cause.code : "INTERNAL" });
    return null;
  }
}

/** How long a statement has at most to be cancelled, on a session of its own, before its connection is dropped. */
const CANCEL_GRACE_MS = 3_000;

/** What every attempt at a run has in common. */
interface Run {
  readonly request: Request;
  readonly target: Target;
  readonly dependencies: Dependencies;
  /** Is kept up to date, also when an attempt fails. */
  readonly progress: Progress;
}

/**
 * Makes one attempt: connects, asks these questions with the login, does the work, and hangs up.
 * @throws MigratorError for every failure; `CONNECTION_LOST` where another attempt may help
 */
async function attempt<Asked extends string>(
  { request, target, dependencies, progress }: Run,
  opening: Readonly<Record<Asked, string>>,
  work: (self: Attempt<Asked>) => Promise<Status>,
): Promise<Status> {
  const { bundle, requestId, log, onProgress, dropBy = Number.POSITIVE_INFINITY } = dependencies;
  const options = {
    ...{ requestId, deadline: progress.deadline, log, opening },
    ...{ reason: deadlinePassed(request), graceMs: CANCEL_GRACE_MS, dropBy },
    beforeCancel: (helper: Connection) => progress.lookForBlockers(helper),
    onTurn: (place: Whereabouts) => {
      const milestone = progress.reached(place);
      onProgress?.(milestone);
    },
  };
  progress.began("connecting");
  const stopClock = progress.clock("connectMs");
  try {
    return await withConnection(target, options, async (connection) => {
      stopClock();
      log("connected", { pid: connection.backendPid, connectMs: progress.timings.connectMs });
      progress.connected(connection);
      try {
        // The login may have come so late that nobody has looked at the clock since.
        if (Date.now() >= progress.deadline) throw options.reason;
        return await work({ request, target, bundle, connection, progress, log });
      } finally {
        progress.closed();
      }
    });
  } finally {
    stopClock();
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
