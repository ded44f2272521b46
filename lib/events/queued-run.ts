import { asRecord, asText, isRecord } from "../json.ts";
import { RUN_ID } from "../queued-runs/run-event.ts";
import { fitReport } from "../report/fit.ts";
import { parseRequest } from "../request.ts";
import type { Caller } from "./caller.ts";

/** The longest report in a row. A load balancer takes 1 MB for an answer, and a row is no place for a book. */
const MAX_REPORT_BYTES = 500_000;

/**
 * A run that `POST /migrations` with `Prefer: respond-async` has put into the function's own queue. Nobody waits
 * for the answer of the function: the outcome goes into the run's row, however the call ends.
 */
export function queuedRun(event: unknown): Caller | null {
  if (!isRecord(event) || Object.keys(event).length !== 1) return null;
  const { id, request } = asRecord(event["neon-migrate.run"]);
  const runId = asText(id);
  if (!RUN_ID.test(runId) || !isRecord(request)) return null;
  return {
    source: "queued-run",
    request: () => parseRequest(request),
    async run(wanted, dependencies) {
      const { followRun } = await import("./on-use.ts");
      return await followRun(runId, wanted, dependencies);
    },
    /** @throws MigratorError where the outcome cannot be written down: then somebody should hear of it */
    async respond({ report, call }) {
      if (report === null) return null;
      const { recordOutcome } = await import("./on-use.ts");
      const { log, answerBy: deadline } = call;
      const following = { runId, requestId: call.context.awsRequestId, log, deadline };
      await recordOutcome(await call.target(), fitReport(report, MAX_REPORT_BYTES), following);
      return null;
    },
  };
}
