import { isRecord } from "../json.ts";
import { createLog } from "../log.ts";
import { RUN_ID, type RunEvent } from "../queued-runs/invoke-itself.ts";
import { runsDependencies, runsTarget } from "../queued-runs/reach.ts";
import { fitReport } from "../report/fit.ts";
import { parseRequest } from "../request.ts";
import type { EventSource } from "./caller.ts";

/** A load balancer takes 1 MB for an answer; and a row is no place for a book. */
const MAX_REPORT_BYTES = 500_000;

/**
 * A run that `POST /migrations` with `Prefer: respond-async` has put into the function's own queue. Nobody waits
 * for what the function returns: the outcome goes into the run's row, however the call ends.
 */
export const queuedRun: EventSource<RunEvent> = {
  name: "queued-run",

  matches(event): event is RunEvent {
    if (!isRecord(event) || Object.keys(event).length !== 1) return false;
    const run = event["neon-migrate.run"];
    return isRecord(run) && RUN_ID.test(String(run.id)) && isRecord(run.request);
  },

  toRequest: (event) => parseRequest(event["neon-migrate.run"].request),

  async carryOut(event, request, dependencies, run) {
    const { followRun } = await import("../queued-runs/queued-runs.ts");
    const { requestId, log, deadline } = dependencies;
    const runId = event["neon-migrate.run"].id;
    const limit = deadline ?? Number.POSITIVE_INFINITY;
    const way = runsDependencies({ requestId, log, deadline: limit });
    return await followRun(request, dependencies, run, { ...way, runId });
  },

  /** @throws MigratorError where the outcome cannot be written down: then somebody should hear of it */
  async respond(event, report, { awsRequestId }, deadline) {
    if (report === null) return null;
    const { recordOutcome } = await import("../queued-runs/queued-runs.ts");
    const kept = fitReport(report, MAX_REPORT_BYTES);
    const log = createLog(awsRequestId);
    await recordOutcome(await runsTarget(), kept, {
      ...runsDependencies({ requestId: awsRequestId, deadline, log }),
      runId: event["neon-migrate.run"].id,
    });
    return null;
  },
};
