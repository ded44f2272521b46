import { MigratorError } from "../../lib/errors.ts";
import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import { isRecord, parseJson } from "../../lib/json.ts";
import { callFunction } from "../invoke/call-function.ts";
import type { Cloud, DescribedRun } from "./cloud.ts";
import type { Watcher } from "./sight.ts";

/** A report is made in seconds; a manifest may be late by a minute. */
const PATIENCE_MS = 120_000;

/**
 * Finds the report of a run that has ended: what it returned, what it left in the bucket, or, for a run that was stopped
 * before its last step, what the function makes of it now.
 * @param making whether the function may be asked. Default: true
 * @returns null where nobody can make one, because the run never came to a list
 */
export async function reportOf(
  cloud: Cloud,
  watcher: Watcher,
  { name, output }: DescribedRun,
  making = true,
): Promise<FleetReport | null> {
  const asReport = (value: unknown) => withMachine(reportIn(value), cloud.machine);
  const returned = asReport(parseJson(output ?? ""));
  if (isFinal(returned)) return returned;
  const { plan, functionArn } = watcher;
  if (plan === null) return returned;
  const kept = await cloud.read(plan.bucket, `${plan.prefix}/report.json`);
  const found = asReport(parseJson(kept ?? ""));
  if (isFinal(found) || !making || functionArn === null) return found ?? returned;
  // Without a plan it is no step of the machine, and does not wait for results that will not come.
  const begun = watcher.begun === null ? {} : { begun: watcher.begun };
  const event = { "neon-migrate.fleet": { step: "report", run: name, ...begun } };
  const { payload, error } = await callFunction({
    functionName: functionArn,
    payload: JSON.stringify(event),
    patienceMs: PATIENCE_MS,
    log: () => undefined,
  });
  const made = asReport(parseJson(payload));
  if (made !== null) return made;
  throw new MigratorError(
    "FLEET_UNAVAILABLE",
    `The run ${name} left no report, and the function made none${error === null ? "" : ` (${error.details.slice(0, 300)})`}. The results are in s3://${plan.bucket}/${plan.prefix}/.`,
  );
}

/** Whether a report says the same when it is made again: results may have come since, or a call that was cut off have ended. */
function isFinal(report: FleetReport | null): boolean {
  return report !== null && report.status !== "incomplete" && report.status !== "stopped";
}

/** Whether a value is the report of a fleet, as far as its kind tells. */
function reportIn(value: unknown): FleetReport | null {
  if (!isRecord(value) || value.schemaVersion !== 1 || !isRecord(value.counts)) return null;
  // Only the function writes these, and only by this type.
  return Array.isArray(value.waves) ? (value as unknown as FleetReport) : null;
}

/** Adds to the command that goes on the machine, which the function does not know. */
function withMachine(report: FleetReport | null, machine: string): FleetReport | null {
  if (report === null || !/^neon-migrate fleet \S/.test(report.next)) return report;
  return { ...report, next: `${report.next} --machine ${machine}` };
}
