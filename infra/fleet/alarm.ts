import { Duration, Names } from "aws-cdk-lib";
import {
  Alarm,
  ComparisonOperator,
  MathExpression,
  TreatMissingData,
} from "aws-cdk-lib/aws-cloudwatch";
import { FilterPattern, MetricFilter } from "aws-cdk-lib/aws-logs";
import type { StateMachine } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import type { FleetReport } from "../../lib/fleet/fleet-report.ts";
import type { FleetFunction } from "./function.ts";

/** The event that the function writes to its log with each report of a fleet. */
const REPORTED = "fleet.reported";
/** The ends of a fleet that is not through, and whose execution may succeed all the same, with `failOn: "budget"`. */
const NOT_THROUGH: readonly FleetReport["status"][] = ["partial", "incomplete", "failed"];

const PERIOD = Duration.minutes(5);

/**
 * Makes an alarm on a fleet that is not through. It counts executions that failed, timed out or were stopped, and the
 * reports that say partial, because a fleet within its budget succeeds as an execution.
 */
export function makeAlarm(
  scope: Construct,
  machine: StateMachine,
  { logGroup }: Pick<FleetFunction, "logGroup">,
): Alarm {
  const metricName = `${Names.uniqueResourceName(scope, { maxLength: 200 })}-PartialFleets`;
  const [filter] = NOT_THROUGH.map(
    (status) =>
      new MetricFilter(scope, `Fleets-${status}`, {
        ...{ logGroup, metricNamespace: "NeonMigrations", metricName },
        // The line is not JSON as a whole, because Lambda writes the time before it.
        filterPattern: FilterPattern.allTerms(REPORTED, `"status":"${status}"`),
      }),
  );
  const usingMetrics = {
    ...(filter === undefined
      ? {}
      : { partial: filter.metric({ statistic: "Sum", period: PERIOD }) }),
    failed: machine.metricFailed({ period: PERIOD }),
    timedOut: machine.metricTimedOut({ period: PERIOD }),
    stopped: machine.metricAborted({ period: PERIOD }),
  };
  return new Alarm(scope, "Alarm", {
    alarmDescription:
      "A fleet is not through: some tenants failed or were not reached. neon-migrate fleet report says which, and why.",
    metric: new MathExpression({
      expression: Object.keys(usingMetrics)
        .map((name) => `FILL(${name}, 0)`)
        .join(" + "),
      usingMetrics,
      label: "Fleets that are not through",
      period: PERIOD,
    }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    // Numbers come a few minutes late, and count in the minute of the end.
    evaluationPeriods: 3,
    datapointsToAlarm: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}
