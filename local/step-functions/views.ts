import type { Execution, MapRun } from "./execution.ts";
import type { Machines } from "./machines.ts";

/** The answer to `DescribeExecution`. */
export function describeExecution(machines: Machines, execution: Execution): object {
  const { inputText, outputText, error, cause } = execution;
  return {
    ...listedExecution(execution),
    ...{ input: inputText, inputDetails: { included: true } },
    ...(outputText === undefined ? {} : { output: outputText, outputDetails: { included: true } }),
    ...(error === undefined ? {} : { error }),
    ...(cause === undefined ? {} : { cause }),
    ...redriveStatus(machines, execution),
  };
}

function redriveStatus(machines: Machines, execution: Execution): object {
  const { mapRunArn, status } = execution;
  if (mapRunArn !== undefined && status !== "SUCCEEDED" && status !== "RUNNING") {
    return { redriveStatus: "REDRIVABLE_BY_MAP_RUN" };
  }
  const redriveStatusReason = machines.notRedrivable(execution);
  if (redriveStatusReason === null) return { redriveStatus: "REDRIVABLE" };
  return { redriveStatus: "NOT_REDRIVABLE", redriveStatusReason };
}

/** An entry of `ListExecutions`. */
export function listedExecution(execution: Execution): object {
  const { stopMs, mapRunArn } = execution;
  return {
    executionArn: execution.arn,
    stateMachineArn: execution.machineArn,
    name: execution.name,
    status: execution.status,
    startDate: execution.startMs / 1_000,
    redriveCount: execution.redriveCount,
    ...(stopMs === undefined ? {} : { stopDate: stopMs / 1_000 }),
    ...(mapRunArn === undefined ? {} : { mapRunArn }),
  };
}

/** An entry of `ListMapRuns`. */
export function listedMapRun({ arn, parent, state, startMs, stopMs }: MapRun): object {
  return {
    executionArn: parent.arn,
    mapRunArn: arn,
    stateMachineArn: `${parent.machineArn}/${state.label}`,
    startDate: startMs / 1_000,
    ...(stopMs === undefined ? {} : { stopDate: stopMs / 1_000 }),
  };
}

/** The answer to `DescribeMapRun`. One child has one item here, so that items and executions have the same numbers. */
export function describeMapRun(run: MapRun): object {
  const { limits, redriveMs } = run;
  const counts = run.counts();
  const shown = (limit: number) => (Number.isFinite(limit) ? limit : 0);
  const { stateMachineArn: _, ...listed } = { stateMachineArn: "", ...listedMapRun(run) };
  return {
    ...listed,
    status: run.status,
    maxConcurrency: limits.maxConcurrency,
    toleratedFailureCount: shown(limits.toleratedCount),
    toleratedFailurePercentage: shown(limits.toleratedPercentage),
    itemCounts: counts,
    executionCounts: counts,
    redriveCount: run.redriveCount,
    ...(redriveMs === undefined ? {} : { redriveDate: redriveMs / 1_000 }),
  };
}
