import type { Bundle } from "../bundle/bundle.ts";
import { headHashes } from "../bundle/hash.ts";
import { MigratorError } from "../errors.ts";
import type { InvocationContext, Undone } from "../events/caller.ts";
import type { Continuation } from "../events/continuation.ts";
import { type Recognised, selectSource } from "../events/recognise.ts";
import { createLog, type Log, type RunEnd } from "../log.ts";
import { type Dependencies, migrate } from "../migrate/migrate.ts";
import type { Milestone } from "../migrate/progress.ts";
import { redact } from "../report/redact.ts";
import { failedReport, type Report } from "../report/report.ts";
import { readConfig } from "../target/config.ts";
import { resolveTarget } from "../target/secret.ts";
import { type Moments, momentsOf } from "./moments.ts";
import { catchUncaught } from "./uncaught.ts";

/** What a handler is made of. */
export interface HandlerOptions {
  /** The bundle, or what reads it: called inside the invocation, so that a damaged one becomes a report. */
  readonly bundle: Bundle | (() => Bundle | Promise<Bundle>);
  /** Carries a request out. Default `migrate`. */
  readonly run?: typeof migrate;
  /** Where the log goes. Default: one JSON object per line, to standard error. */
  readonly logFor?: (requestId: string) => Log;
  /** Told how far a run is; see `Dependencies`. */
  readonly onProgress?: (done: Milestone) => void;
  /** Whether an error that nobody caught has nothing to do with the run, which then goes on. Default: it has. */
  readonly isStray?: (thrown: unknown) => boolean;
}

/**
 * Makes the function that Lambda calls. It answers every event on every path, the deadline included; for as long as a call
 * goes on, exceptions and rejections that nobody handles come to it, and to no other listener of the process.
 */
export function createHandler(
  options: HandlerOptions,
): (event: unknown, context: InvocationContext) => Promise<unknown> {
  return async (event, context) => {
    let giveBack: () => void = () => undefined;
    const uncaught = new Promise<unknown>((resolve) => {
      giveBack = catchUncaught((thrown) => {
        if (options.isStray?.(thrown) !== true) resolve(thrown);
      });
    });
    try {
      return await answer(event, context, options, uncaught);
    } finally {
      giveBack();
    }
  };
}

async function answer(
  event: unknown,
  context: InvocationContext,
  options: HandlerOptions,
  uncaught: Promise<unknown>,
): Promise<unknown> {
  const log = (options.logFor ?? createLog)(context.awsRequestId);
  const recognised = selectSource(event);
  const moments = momentsOf(Date.now(), context.getRemainingTimeInMillis());
  const report = await reportFor(recognised, options, { context, log, moments, uncaught });
  const next = report?.status === "failed" ? recognised.nextCall(report) : null;
  log(endOf(report, next), { source: recognised.source, report });
  return await recognised.respond(report, context, moments.answerBy, next);
}

/** The last event of a call's log. An alarm counts the runs that failed, and no call that another one goes on for. */
function endOf(report: Report | null, next: Continuation | null): RunEnd {
  if (report?.status !== "failed") return "run.finished";
  return next === null ? "run.failed" : "run.continues";
}

/** One call, as it came. */
interface Arrival {
  readonly context: InvocationContext;
  readonly log: Log;
  readonly moments: Moments;
  /** The first error that nobody caught. */
  readonly uncaught: Promise<unknown>;
}

/** The report, in time: a run that hangs is answered for, and says how far it was. */
async function reportFor(
  recognised: Recognised,
  options: HandlerOptions,
  { context, log, moments, uncaught }: Arrival,
): Promise<Report | null> {
  const call: Call = {
    ...{ context, log, moments, secrets: [] },
    giveUp: (reason) => failedReport(context.awsRequestId, reason),
  };
  const failed = (reason: unknown) => redact(call.giveUp(reason), call.secrets);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Report>((resolve) => {
    // It also keeps the process alive while nothing else does: a promise that never settles is answered.
    timer = setTimeout(() => resolve(failed(hung())), Math.max(moments.reportBy - Date.now(), 0));
  });
  try {
    const working = work(recognised, options, call);
    recognised.prepare();
    return await Promise.race([working.catch(failed), uncaught.then(failed), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What one call has beside its event. */
interface Call {
  readonly context: InvocationContext;
  readonly log: Log;
  readonly moments: Moments;
  /** What must not leave the process; filled when the target is known. */
  readonly secrets: string[];
  /** The report of a run that does not end by itself; the run's own as soon as it has begun. See `Dependencies`. */
  giveUp: (reason: unknown) => Report;
}

async function work(
  recognised: Recognised,
  { bundle, run = migrate, onProgress }: HandlerOptions,
  call: Call,
): Promise<Report | null> {
  const { context, log, moments, secrets } = call;
  let known: Bundle | null = null;
  const read = async (): Promise<Bundle> => {
    known ??= typeof bundle === "function" ? await bundle() : bundle;
    return known;
  };
  const undone = recognised.undone();
  if (undone !== null && isTakenBack(await read(), undone)) return null;
  const request = recognised.toRequest(context);
  if (request === null) return null;
  log("run.started", { source: recognised.source, action: request.action });
  const dependencies: Dependencies = {
    bundle: await read(),
    target: async () => {
      const target = await resolveTarget(readConfig());
      secrets.push(target.url);
      return target;
    },
    requestId: context.awsRequestId,
    deadline: moments.deadline,
    dropBy: moments.dropBy,
    log,
    onStart: (giveUp) => {
      call.giveUp = giveUp;
    },
    ...(onProgress === undefined ? {} : { onProgress }),
  };
  return await recognised.carryOut(request, dependencies, run);
}

/**
 * Whether what a deployment goes back to is the head of these migrations. Where it is anything else it may as well
 * lie before us, whose code is behind: then what is pending has to be applied.
 */
function isTakenBack(bundle: Bundle, { from, to }: Undone): boolean {
  return from === bundle.hash && headHashes(bundle.migrations).includes(to);
}

function hung(): MigratorError {
  return new MigratorError(
    "DEADLINE",
    "The function's time is over and the run did not stop in time. Its connection is dropped; then the server rolls back what was not committed.",
    { retryable: true },
  );
}
