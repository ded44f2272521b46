import { MigratorError } from "../errors.ts";
import type { Target } from "../target/target.ts";
import { describeRun, type RunRecord } from "./record.ts";
import { type RunsDependencies, readRun, withRuns } from "./with-runs.ts";

/**
 * Reads a run and tells of it. Takes no lock that a migration could hold.
 * @throws MigratorError `RUN_NOT_FOUND`, and as `connect`
 */
export async function findRun(
  id: string,
  statusUrl: string,
  target: Target,
  dependencies: RunsDependencies,
): Promise<RunRecord> {
  const row = await withRuns(target, dependencies, (session) => readRun(session, id));
  if (row !== null) return describeRun(id, statusUrl, row);
  throw new MigratorError(
    "RUN_NOT_FOUND",
    "There is no such run, or its record was deleted because of its age. GET /migrations says what is applied.",
  );
}
