import { Duration, Names } from "aws-cdk-lib";
import {
  Alarm,
  ComparisonOperator,
  MathExpression,
  TreatMissingData,
} from "aws-cdk-lib/aws-cloudwatch";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { FilterPattern, type ILogGroup, MetricFilter } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";

/** What the function writes to its log for each run that failed; see `lib/handler.ts`. */
const FAILED_RUN = "run.failed";

const PERIOD = Duration.minutes(1);

/**
 * An alarm on runs that failed, whoever fired them. The function's own errors do not tell: a failure that
 * was reported to CloudFormation, to a pipeline or over HTTP is an answer. What they do tell is a function
 * that could not answer.
 */
export function makeAlarm(scope: Construct, lambda: IFunction, logGroup: ILogGroup): Alarm {
  const filter = new MetricFilter(scope, "FailedRuns", {
    logGroup,
    // In quotes: a term with a point in it. The line is JSON, but Lambda writes the time before it.
    filterPattern: FilterPattern.literal(`"${FAILED_RUN}"`),
    metricNamespace: "NeonMigrations",
    metricName: `${Names.uniqueResourceName(scope, { maxLength: 200 })}-FailedRuns`,
  });
  return new Alarm(scope, "Alarm", {
    alarmDescription:
      "Migrations failed. The report is in the function's log, in the line with run.failed.",
    metric: new MathExpression({
      expression: "FILL(errors, 0) + FILL(failed, 0)",
      usingMetrics: {
        errors: lambda.metricErrors({ period: PERIOD }),
        failed: filter.metric({ statistic: "Sum", period: PERIOD }),
      },
      label: "Failed runs",
      period: PERIOD,
    }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: 1,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}
