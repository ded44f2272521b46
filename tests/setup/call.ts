import type { Call, InvocationContext } from "../../lib/events/caller.ts";
import { recognise } from "../../lib/events/recognise.ts";
import { silentLog } from "../../lib/log.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import type { Request } from "../../lib/request.ts";

/** A call of a function whose bundle is nobody's: what deployments go back to is never a part of it. */
export function makeCall(context: InvocationContext, answerBy: number = Date.now() + 1_000): Call {
  return {
    ...{ context, log: silentLog, answerBy },
    bundleHashes: () => Promise.resolve({ whole: "nobody's", heads: [] }),
    target: () => Promise.reject(new Error("This call has no database.")),
    failed: (reason) => failedReport(context.awsRequestId, reason),
  };
}

/** The request that an event makes; rejects where it is refused. */
export async function requestOf(
  event: unknown,
  context: InvocationContext,
): Promise<Request | null> {
  return await recognise(event).request(makeCall(context));
}

/** Answers an event's caller as the handler does. */
export async function respondTo(
  event: unknown,
  report: Report | null,
  call: Call,
): Promise<unknown> {
  const caller = recognise(event);
  const next = report?.status === "failed" ? (caller.nextCall?.(report) ?? null) : null;
  return await caller.respond({ call, report, next });
}
