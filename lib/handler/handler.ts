/*
 * The handler: one Lambda call. An event comes in, and its answer goes out, on every path and in time: the handler knows
 * the moments of a call, and makes a report of whatever goes wrong. It does not know what an event says, or how to
 * migrate: `events/` and `migrate/` do.
 */

import { MigratorError } from "../errors.ts";
import type { Caller, InvocationContext } from "../events/caller.ts";
import type { Continuation } from "../events/continuation.ts";
import { recognise } from "../events/recognise.ts";
import { createLog, type Log, type RunEnd } from "../log.ts";
import { type Dependencies, migrate } from "../migrate/migrate.ts";
import type { Report } from "../report/report.ts";
import { isRehearsed } from "../request.ts";
import { type BundleSource, type HandlerCall, type HandlerParts, startCall } from "./call.ts";
import { catchUncaught } from "./uncaught.ts";

/** The parts of a handler. */
export interface HandlerOptions {
  readonly bundle: BundleSource;
  /** Makes the log of a call. Default: one JSON object per line, to standard error. */
  readonly logFor?: (requestId: string) => Log;
}

/**
 * Makes the function that Lambda calls. It answers every event on every path, the deadline included. While a call goes on,
 * exceptions and rejections that nobody handles come to it, and to no other listener of the process.
 */
export function createHandler(
  options: HandlerOptions,
): (event: unknown, context: InvocationContext) => Promise<unknown> {
  const clients = new Map();
  return async (event, context) => {
    const { answer } = await answerCall(event, context, { ...options, clients });
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  };
}

/** The parts of a call that users do not choose. */
export interface CallOptions
  extends HandlerOptions,
    HandlerParts,
    Pick<Dependencies, "onProgress"> {
  /** Carries the request out. Default: `migrate`. */
  readonly run?: typeof migrate;
  /** Whether an error that nobody caught has nothing to do with the run, which then goes on. Default: none is stray. */
  readonly isStray?: (thrown: unknown) => boolean;
}

/** The end of a call, for those who need more of it than Lambda does. */
export interface Answered {
  /** Null when nothing was to be run. */
  readonly report: Report | null;
  /** The value that the caller gets, or the error. */
  readonly answer: PromiseSettledResult<unknown>;
}

/** Answers one call. Never rejects. */
export async function answerCall(
  event: unknown,
  context: InvocationContext,
  options: CallOptions,
): Promise<Answered> {
  const uncaught = catchUncaught(options.isStray);
  let report: Report | null = null;
  const answering = async () => {
    const log = (options.logFor ?? createLog)(context.awsRequestId);
    const caller = recognise(event);
    const call = startCall(event, context, log, options);
    report = await reportInTime(caller, call, options, uncaught.first);
    if (report !== null) report = call.sign(report);
    const next = report?.status === "failed" ? (caller.nextCall?.(report) ?? null) : null;
    log(endOf(report, next), { source: caller.source, report });
    return await caller.respond({ call, report, next });
  };
  const [answer] = await Promise.allSettled([answering()]);
  uncaught.giveBack();
  return { report, answer };
}

/** The last event of a call's log. An alarm counts the runs that failed, and no call that another one goes on for. */
function endOf(report: Report | null, next: Continuation | null): RunEnd {
  if (report?.status !== "failed") return "run.finished";
  return next === null ? "run.failed" : "run.continues";
}

/** Makes the report in time: a run that hangs gets one, too, which says how far the run was. */
async function reportInTime(
  caller: Caller,
  call: HandlerCall,
  options: CallOptions,
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

/** Carries out the request that the caller makes; returns null when it makes none. */
async function work(
  caller: Caller,
  call: HandlerCall,
  { run = migrate, onProgress }: CallOptions,
): Promise<Report | null> {
  const { context, log, moments } = call;
  const asked = await caller.request(call);
  if (asked === null) return null;
  const isAimed = (asked.target ?? asked.expect) !== null;
  const aim = isAimed ? await (await import("../fleet/on-use.ts")).aim(asked, call) : null;
  const request = aim?.request ?? asked;
  log("run.started", { source: caller.source, action: request.action });
  // Who only asks over HTTP sits in front of a screen, and asks again.
  const asks = caller.source === "http" && request.action !== "up";
  const runsOut = Date.now() + (request.timeoutMs ?? Number.POSITIVE_INFINITY);
  const rightsBy = asks ? 0 : Math.min(moments.deadline, runsOut);
  const dependencies: Dependencies = {
    ...{ bundle: await call.bundle(), requestId: context.awsRequestId, log },
    target: () => (aim ?? call).target(rightsBy),
    caller: async () =>
      (await import("../events/who-calls.ts")).whoCalls(caller.source, call.event),
    ...{ deadline: moments.deadline, dropBy: moments.dropBy },
    onStart: (giveUp) => {
      call.giveUp = giveUp;
    },
    ...(onProgress === undefined ? {} : { onProgress }),
  };
  if (isRehearsed(request)) {
    const { carryOut } = await import("../rehearsal/carry-out.ts");
    return await carryOut(request, { ...dependencies, ...aim?.access });
  }
  return await (caller.run?.(request, dependencies) ?? run(request, dependencies));
}

function hung(): MigratorError {
  return new MigratorError(
    "DEADLINE",
    "The function's time is over and the run did not stop in time. Its session ends; what was not committed is rolled back.",
    { retryable: true },
  );
}
