import { MigratorError } from "../errors.ts";
import { type Dependencies, migrate } from "../migrate/migrate.ts";
import type { Milestone } from "../migrate/milestone.ts";
import type { Report } from "../report/report.ts";
import type { Request } from "../request.ts";
import type { Target } from "../target/target.ts";
import { type Following, showSigns } from "./heartbeat.ts";
import { claimRun, finishRun } from "./table.ts";
import { askHomes, type RunsSession, readRun, withRuns } from "./with-runs.ts";

/**
 * Carries a queued run out, and meanwhile shows how far it is, from a session of its own: nobody sees into the migration's
 * transaction. It does not write the outcome down, because a call may also end in other ways than this function.
 * @returns null where the run belongs to another call, or is over: an event may be delivered twice
 * @throws MigratorError `RUN_NOT_FOUND`, and as `connect`
 */
export async function followRun(
  runId: string,
  request: Request,
  dependencies: Dependencies,
): Promise<Report | null> {
  const { requestId, log, deadline } = dependencies;
  const following = { runId, requestId, log, deadline: deadline ?? Number.POSITIVE_INFINITY };
  const target = await dependencies.target();
  if (!(await withRuns(target, following, (session) => claim(session, following)))) return null;
  let progress: Milestone | null = null;
  const signs = showSigns(target, following, () => progress);
  try {
    return await migrate(request, {
      ...{ ...dependencies, target: once(target, dependencies) },
      onProgress: (now) => {
        progress = now;
      },
    });
  } finally {
    await signs.stop();
  }
}

/** Returns the target that was read already; asked again, reads it anew, because the secret may have been rotated. */
function once(found: Target, dependencies: Dependencies): Dependencies["target"] {
  let unused: Target | null = found;
  return () => {
    const target = unused ?? dependencies.target();
    unused = null;
    return target;
  };
}

/**
 * Writes down how a run ended.
 * @throws MigratorError `RUN_NOT_FOUND`, and as `connect`: then the run will read as lost
 */
export async function recordOutcome(
  target: Target,
  report: Report,
  following: Following,
): Promise<void> {
  const { runId: id, requestId } = following;
  const row = await withRuns(target, following, (session) =>
    askHomes(session, (home) => finishRun(home, { id, requestId, report })),
  );
  if (row === null) throw notFound();
}

async function claim(session: RunsSession, { runId, requestId, log }: Following): Promise<boolean> {
  const claimed = await askHomes(session, (home) => claimRun(home, runId, requestId));
  if (claimed !== null) return true;
  const row = await readRun(session, runId);
  if (row === null) throw notFound();
  log("run.not-ours", { runId, state: row.state, byRequest: row.requestId });
  return false;
}

function notFound(): MigratorError {
  return new MigratorError(
    "RUN_NOT_FOUND",
    "There is no record of the run that this event names. A run that was never recorded is not carried out. If its record was deleted, the function's log says how it ended.",
  );
}
