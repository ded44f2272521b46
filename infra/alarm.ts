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

/** What the function writes to its log for each run that failed. */
const FAILED_RUN: RunEnd = "run.failed";

/**
 * An error of the function is counted in the minute in which it was called, 15 of them before it ended at most, and all
 * numbers come a few minutes late: an alarm that looked at the last minute alone would see the zeros there.
 */
const MINUTES = 20;

/**
 * An alarm on runs that failed, whoever fired them. The functions' own errors do not tell: a failure that
 * was reported to CloudFormation, to a pipeline or over HTTP is an answer. What they do tell is a function
 * that could not answer.
 */
export function makeAlarm(scope: Construct, { main, stream, logGroup }: Functions): Alarm {
  const period = Duration.minutes(1);
  const filter = new MetricFilter(scope, "FailedRuns", {
    logGroup,
    // In quotes: a term with a point in it. The line is JSON, but Lambda writes the time before it.
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
    evaluationPeriods: MINUTES,
    datapointsToAlarm: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}
