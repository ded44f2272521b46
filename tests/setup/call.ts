import type { Call, InvocationContext } from "../../lib/events/caller.ts";
import { recognise } from "../../lib/events/recognise.ts";
import { silentLog } from "../../lib/log.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import type { Request } from "../../lib/request.ts";

/** Makes a call of a function with an invented bundle, of which no deployment's bundle is a part. */
export function makeCall(context: InvocationContext, answerBy: number = Date.now() + 1_000): Call {
  return {
    ...{ context, log: silentLog, answerBy },
    bundle: () => Promise.reject(new Error("This call has no bundle.")),
    bundleHashes: () => Promise.resolve({ whole: "nobody's", heads: () => [] }),
    target: () => Promise.reject(new Error("This call has no database.")),
    hide: () => undefined,
    resolve: () => Promise.reject(new Error("This call has no database.")),
    failed: (reason) => failedReport(context.awsRequestId, reason),
  };
}

/** Returns the request that an event makes. Rejects for an event that is refused. */
export async function requestOf(
  event: unknown,
  context: InvocationContext,
): Promise<Request | null> {
  return await recognise(event).request(makeCall(context));
}

/** Answers the sender of an event as the handler does. */
export async function respondTo(
  event: unknown,
  report: Report | null,
  call: Call,
): Promise<unknown> {
  const caller = recognise(event);
  const next = report?.status === "failed" ? (caller.nextCall?.(report) ?? null) : null;
  return await caller.respond({ call, report, next });
}
