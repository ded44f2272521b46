/*
 * A run: one request against one database. A request and a bundle come in, and a report goes out, whatever happens. The
 * run connects, takes the lock, reads the ledger, plans, executes and hangs up; where it loses its connection it begins
 * again. It decides nothing about callers, and sends no statement itself.
 */

import { withOverview } from "../bundle/overview.ts";
import type { Connection, Whereabouts } from "../connection/connection.ts";
import { withConnection } from "../connection/with-connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { restorePointQuestion } from "../history/history.ts";
import { openingLockQuestion } from "../ledger/pooler.ts";
import { ledgerQuestion } from "../ledger/question.ts";
import type { Log } from "../log.ts";
import { describeAsked } from "../report/asked.ts";
import { redact } from "../report/redact.ts";
import { buildReport, failedReport, type Report } from "../report/report.ts";
import type { CallerFacts, Request } from "../request.ts";
import type { Target } from "../target/target.ts";
import { backoffMs, pause } from "../wait.ts";
import type { Attempt, Dependencies, Status } from "./attempt.ts";
import { knownOf } from "./make-plan.ts";
import { Progress } from "./progress.ts";
import { up } from "./up.ts";

export type { Dependencies } from "./attempt.ts";

/** The limit of a run that has none from outside: as long as a Lambda function may run. */
const DEFAULT_TIMEOUT_MS = 900_000;

const ROTATED: Warning = {
  code: "SECRET_ROTATED",
  message:
    "The login was refused, so the secret was read again. It had another connection string by then, which was used.",
};

/** The limit of attempts: somebody who ends our session again and again means it. */
const MAX_ATTEMPTS = 4;

/**
 * Runs one request against one database: connect, lock, read the ledger, plan, execute, report.
 * Never rejects: every failure is a report.
 */
export async function migrate(request: Request, dependencies: Dependencies): Promise<Report> {
  const { requestId } = dependencies;
  const bundle = withOverview(dependencies.bundle);
  const asked = Date.now() + (request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const deadline = Math.min(asked, dependencies.deadline ?? asked);
  const progress = new Progress(bundle, deadline);
  const secrets: string[] = [];
  let by: CallerFacts | null = null;
  const facts = () => ({ ...progress.facts(), asked: describeAsked(request, by) });
  const failed = (thrown: unknown) =>
    redact(failedReport(requestId, progress.located(thrown), facts()), secrets);
  dependencies.onStart?.(
    (reason) => failed(progress.gaveUp(reason)),
    (reason) => progress.stopped(reason, CANCEL_GRACE_MS),
  );
  try {
    // Left alone, a request for a tenant would migrate the database of the caller.
    if (request.target) throw (await import("./first-contact.ts")).misdirected();
    const findTarget = async () => {
      const target = await dependencies.target();
      secrets.push(target.url);
      return target;
    };
    const log: Log = (event, fields = {}) => dependencies.log(event, redact(fields, secrets));
    const caller = async () => {
      by = (await dependencies.caller?.()) ?? null;
      return by;
    };
    const found = { ...dependencies, bundle, target: findTarget, caller, log, failed };
    const status = await runWithSecret(request, found, progress);
    return redact(buildReport(requestId, status, facts()), secrets);
  } catch (thrown) {
    return failed(thrown);
  }
}

/** The dependencies of a run, with what all of its attempts share. */
interface Prepared extends Dependencies {
  /** See `Attempt`. */
  failed(thrown: unknown): Report;
}

/** Reads the secret, and once more where the password was rotated after we had read it and before we used it. */
async function runWithSecret(
  request: Request,
  dependencies: Prepared,
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
 * Makes attempts until one gets an answer. A lost connection says nothing about its last transaction, but the ledger does:
 * the next attempt reads it again, under the lock, and runs the migrations that are still pending.
 */
async function attemptUntilAnswered(
  request: Request,
  target: Target,
  dependencies: Prepared,
  progress: Progress,
): Promise<Status> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      // Who asks for the status is told of every row.
      const known = request.action === "status" ? [] : knownOf(dependencies.bundle);
      const ledger = ledgerQuestion(target.ledger, known);
      const asked = { ledger, restorePoint: restorePointQuestion() };
      const run = { request, target, dependencies, progress };
      if (request.action === "up") {
        return await attempt(run, { lock: openingLockQuestion(target), ...asked }, up);
      }
      const { inspect, ownQuestions } = await import("./inspect.ts");
      return await attempt(run, { ...asked, ...ownQuestions(request, target) }, inspect);
    } catch (thrown) {
      const lost = thrown instanceof MigratorError && thrown.code === "CONNECTION_LOST";
      const pauseMs = backoffMs(attempts);
      const late = Date.now() + pauseMs >= progress.deadline;
      if (!lost || late || attempts >= MAX_ATTEMPTS) {
        return await conclude(thrown, { request, target, dependencies, progress });
      }
      dependencies.log("run.again", { attempts, sqlstate: thrown.facts.sqlstate });
      const message = `Attempt ${attempts} broke off. ${thrown.message}`;
      progress.warned([{ code: thrown.code, message }]);
      progress.began("waiting to connect again");
      await pause(pauseMs);
    }
  }
}

/** The longest time for a look at the ledger behind the end of the run, in ms. */
const LOOK_MS = 5_000;

/** Ends a run with its error. Without the server's word on the last transaction, a look at the ledger comes before. */
async function conclude(thrown: unknown, run: Run): Promise<Status> {
  const { progress, dependencies } = run;
  const unconfirmed = thrown instanceof MigratorError && thrown.facts.unconfirmed === true;
  if (!unconfirmed || !progress.isInDoubt) throw thrown;
  const { dropBy = Number.POSITIVE_INFINITY } = dependencies;
  // The answer must still come in time: it has as much time behind that moment as there was before it.
  const latest = dropBy + Math.max(dropBy - progress.deadline, 0) / 2;
  const { askBeside } = await import("./ask-beside.ts");
  return await askBeside(thrown, { ...run, until: Math.min(Date.now() + LOOK_MS, latest) });
}

/** Reads the target again. @returns null where it is the same, or where the error is not about the login */
async function rotatedTarget(
  thrown: unknown,
  before: Target,
  { target, log }: Prepared,
): Promise<Target | null> {
  if (!(thrown instanceof MigratorError) || thrown.code !== "LOGIN_FAILED") return null;
  try {
    const now = await target();
    if (now.url === before.url) return null;
    log("secret.rotated");
    return now;
  } catch (cause) {
    // The refused login is the fault to mend; a secret that cannot be read any more comes on top.
    log("secret.unreadable", { code: cause instanceof MigratorError ? cause.code : "INTERNAL" });
    return null;
  }
}

/** The longest time for the cancelling of a statement, in ms, before its connection is dropped. */
const CANCEL_GRACE_MS = 3_000;

/** The things that all attempts at a run have in common. */
interface Run {
  readonly request: Request;
  readonly target: Target;
  readonly dependencies: Prepared;
  /** Up to date also when an attempt fails. */
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
  const { observer, assertPending = () => undefined } = dependencies;
  const onWait = dependencies.onWait ?? waitLog(log);
  const options = {
    ...{ requestId, deadline: progress.deadline, log, opening },
    ...{ reason: deadlinePassed(request), graceMs: CANCEL_GRACE_MS, dropBy },
    ...(observer === undefined ? {} : { observer }),
    beforeCancel: (helper: Connection) => progress.lookForBlockers(helper),
    onTurn: (place: Whereabouts | null) => {
      progress.times?.turned(place);
      if (place === null) return;
      const milestone = progress.reached(place);
      onProgress?.(milestone, place);
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
        // A login may end so late that the deadline has passed meanwhile.
        if (Date.now() >= progress.deadline) throw options.reason;
        const { caller, failed } = dependencies;
        const self = { request, target, bundle, connection, progress, requestId };
        return await work({ ...self, caller, failed, log, onWait, assertPending });
      } catch (thrown) {
        const { withAdvice } = await import("../execute/advice.ts");
        throw await withAdvice(thrown, { bundle, connection });
      } finally {
        progress.closed();
      }
    });
  } finally {
    stopClock();
  }
}

/** Logs for whom a run waits, once for as long as they are the same. Their statements may hold data. */
function waitLog(log: Log): Attempt["onWait"] {
  let told = "";
  return (sessions) => {
    const blockers = sessions.map(({ query: _, ...facts }) => facts);
    const names = blockers.map(({ pid, gid }) => gid ?? pid).join();
    if (names !== told) log("waiting", { blockers });
    told = names;
  };
}

function deadlinePassed({ timeoutMs }: Request): MigratorError {
  const limit = timeoutMs === null ? "the function's time-out" : "timeoutMs";
  return new MigratorError(
    "DEADLINE",
    `The time for this run is over, so it was stopped; what was not committed is rolled back. Raise ${limit}, or split the migration.`,
    { retryable: true },
  );
}
