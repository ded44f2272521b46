import type { Bundle } from "../bundle/bundle.ts";
import { headHashes } from "../bundle/hash.ts";
import { MigratorError } from "../errors.ts";
import type { Call, Caller, InvocationContext } from "../events/caller.ts";
import type { Continuation } from "../events/continuation.ts";
import { recognise } from "../events/recognise.ts";
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
  const caller = recognise(event);
  const call = startCall(context, log, options);
  const report = await reportInTime(caller, call, options, uncaught);
  const next = report?.status === "failed" ? (caller.nextCall?.(report) ?? null) : null;
  log(endOf(report, next), { source: caller.source, report });
  return await caller.respond({ call, report, next });
}

/** The last event of a call's log. An alarm counts the runs that failed, and no call that another one goes on for. */
function endOf(report: Report | null, next: Continuation | null): RunEnd {
  if (report?.status !== "failed") return "run.finished";
  return next === null ? "run.failed" : "run.continues";
}

/** A call, with what only the handler needs of it. */
interface OurCall extends Call {
  readonly moments: Moments;
  bundle(): Promise<Bundle>;
  /** Makes the report of a run that does not end by itself: the run's own as soon as it has begun. See `Dependencies`. */
  giveUp: (reason: unknown) => Report;
}

function startCall(context: InvocationContext, log: Log, { bundle }: HandlerOptions): OurCall {
  const moments = momentsOf(Date.now(), context.getRemainingTimeInMillis());
  const secrets: string[] = [];
  let known: Bundle | null = null;
  const call: OurCall = {
    ...{ context, log, moments, answerBy: moments.answerBy },
    async bundle() {
      known ??= typeof bundle === "function" ? await bundle() : bundle;
      return known;
    },
    async bundleHashes() {
      const { hash, migrations } = await call.bundle();
      return { whole: hash, heads: headHashes(migrations) };
    },
    async target() {
      const target = await resolveTarget(readConfig());
      secrets.push(target.url);
      return target;
    },
    failed: (reason) => redact(call.giveUp(reason), secrets),
    giveUp: (reason) => failedReport(context.awsRequestId, reason),
  };
  return call;
}

/** Makes the report in time: a run that hangs gets one, too, which says how far the run was. */
async function reportInTime(
  caller: Caller,
  call: OurCall,
  options: HandlerOptions,
  uncaught: Promise<unknown>,
): Promise<Report | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Report>((resolve) => {
    const leftMs = Math.max(call.moments.reportBy - Date.now(), 0);
    // The timer also keeps the process alive while nothing else does: a promise that never settles is answered.
    timer = setTimeout(() => resolve(call.failed(hung())), leftMs);
  });
  try {
    const working = work(caller, call, options);
    // An error of loading comes up again in `respond`.
    void caller.prepare?.().catch(() => undefined);
    return await Promise.race([working.catch(call.failed), uncaught.then(call.failed), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function work(
  caller: Caller,
  call: OurCall,
  { run = migrate, onProgress }: HandlerOptions,
): Promise<Report | null> {
  const { context, log, moments, target } = call;
  const request = await caller.request(call);
  if (request === null) return null;
  log("run.started", { source: caller.source, action: request.action });
  const dependencies: Dependencies = {
    ...{ bundle: await call.bundle(), target, requestId: context.awsRequestId, log },
    ...{ deadline: moments.deadline, dropBy: moments.dropBy },
    onStart: (giveUp) => {
      call.giveUp = giveUp;
    },
    ...(onProgress === undefined ? {} : { onProgress }),
  };
  return await (caller.run?.(request, dependencies) ?? run(request, dependencies));
}

function hung(): MigratorError {
  return new MigratorError(
    "DEADLINE",
    "The function's time is over and the run did not stop in time. Its connection is dropped; then the server rolls back what was not committed.",
    { retryable: true },
  );
}
