import { asRecord, asText, isRecord } from "../json.ts";
import { createLog } from "../log.ts";
import { migrate } from "../migrate/migrate.ts";
import { RUN_ID } from "../queued-runs/invoke-itself.ts";
import { runsDependencies, runsTarget } from "../queued-runs/reach.ts";
import { fitReport } from "../report/fit.ts";
import { parseRequest } from "../request.ts";
import type { Caller } from "./caller.ts";

/** A load balancer takes 1 MB for an answer; and a row is no place for a book. */
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
      const { followRun } = await import("../queued-runs/queued-runs.ts");
      const { requestId, log, deadline } = dependencies;
      const limit = deadline ?? Number.POSITIVE_INFINITY;
      const way = runsDependencies({ requestId, log, deadline: limit });
      return await followRun(wanted, dependencies, migrate, { ...way, runId });
    },
    /** @throws MigratorError where the outcome cannot be written down: then somebody should hear of it */
    async respond({ report, call }) {
      if (report === null) return null;
      const { recordOutcome } = await import("../queued-runs/queued-runs.ts");
      const requestId = call.context.awsRequestId;
      const kept = fitReport(report, MAX_REPORT_BYTES);
      const log = createLog(requestId);
      await recordOutcome(await runsTarget(), kept, {
        ...runsDependencies({ requestId, deadline: call.answerBy, log }),
        runId,
      });
      return null;
    },
  };
}
