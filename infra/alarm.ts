import { Duration, Names } from "aws-cdk-lib";
import {
  Alarm,
  ComparisonOperator,
  MathExpression,
  TreatMissingData,
} from "aws-cdk-lib/aws-cloudwatch";
import { FilterPattern, MetricFilter } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import type { RunEnd } from "../lib/log.ts";
import type { Functions } from "./functions.ts";

/** The event that the function writes to its log for each failed run. */
const FAILED_RUN: RunEnd = "run.failed";

/**
 * The alarm looks so many minutes further back than a call may take. CloudWatch counts an error in the minute in which the
 * call began, and all numbers come a few minutes late. An alarm on the last minute alone would see only zeros.
 */
const LATE_MINUTES = 5;

/**
 * Makes an alarm on failed runs, whoever fired them. It counts them in the log: a failure that was reported to
 * CloudFormation, to a pipeline or over HTTP is an answer, not an error of the function. It counts the functions'
 * errors, too, for a function that could not answer.
 * @param longestS how long a call may take, in seconds
 */
export function makeAlarm(
  scope: Construct,
  { main, stream, logGroup }: Functions,
  longestS: number,
): Alarm {
  const period = Duration.minutes(1);
  const filter = new MetricFilter(scope, "FailedRuns", {
    logGroup,
    // A term with a point needs quotes. The line is not JSON as a whole, because Lambda writes the time before it.
    filterPattern: FilterPattern.literal(`"${FAILED_RUN}"`),
    metricNamespace: "NeonMigrations",
    metricName: `${Names.uniqueResourceName(scope, { maxLength: 200 })}-FailedRuns`,
  });
  const usingMetrics = {
    failed: filter.metric({ statistic: "Sum", period }),
    errors: main.metricErrors({ period }),
    ...(stream === undefined ? {} : { streamErrors: stream.metricErrors({ period }) }),
  };
  return new Alarm(scope, "Alarm", {
    alarmDescription:
      "Migrations failed. The report is in the function's log, in the line with run.failed.",
    metric: new MathExpression({
      expression: Object.keys(usingMetrics)
        .map((name) => `FILL(${name}, 0)`)
        .join(" + "),
      usingMetrics,
      label: "Failed runs",
      period,
    }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: Math.ceil(longestS / 60) + LATE_MINUTES,
    datapointsToAlarm: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}
