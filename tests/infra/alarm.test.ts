import { Duration } from "aws-cdk-lib";
import { Match, Template } from "aws-cdk-lib/assertions";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { Topic } from "aws-cdk-lib/aws-sns";
import { describe, expect, test } from "vitest";
import { readBundle } from "../../lib/bundle/read-bundle.ts";
import { createHandler } from "../../lib/handler/handler.ts";
import { createLog } from "../../lib/log.ts";
import { lambdaContext } from "../setup/lambda-context.ts";
import { scene } from "../setup/synthesis.ts";

const PROVIDER = {
  capacityProviderArn: "arn:aws:lambda:eu-central-1:123456789012:capacity-provider:shop",
};

describe("GIVEN an alarm on failure", () => {
  test("WHEN it is asked for THEN it counts the function's errors and the runs that were answered as failed", () => {
    const { stack, migrations } = scene();
    const topic = new Topic(stack, "Topic");
    migrations.alarmOnFailure(new SnsAction(topic));
    const template = Template.fromStack(stack);

    template.hasResourceProperties("AWS::Logs::MetricFilter", {
      LogGroupName: { Ref: "MigrationsLog2206773E" },
      FilterPattern: '"run.failed"',
      MetricTransformations: [
        {
          MetricNamespace: "NeonMigrations",
          MetricName: "ShopMigrationsA5E41AC9-FailedRuns",
          MetricValue: "1",
        },
      ],
    });
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmActions: [{ Ref: Match.stringLikeRegexp("^Topic") }],
      Threshold: 1,
      // An error is counted in the minute of its call, and a run may take 15 of them.
      EvaluationPeriods: 20,
      DatapointsToAlarm: 1,
      TreatMissingData: "notBreaching",
      Metrics: Match.arrayWith([
        Match.objectLike({ Expression: "FILL(failed, 0) + FILL(errors, 0)" }),
      ]),
    });
  });

  test.each([
    ["90 minutes on instances", { capacityProvider: PROVIDER, timeout: Duration.minutes(90) }, 95],
    ["90 seconds", { timeout: Duration.seconds(90) }, 7],
  ])("WHEN a run may take %s THEN it looks back to its beginning", (_, props, periods) => {
    const { stack, migrations } = scene(props);
    migrations.alarmOnFailure();

    Template.fromStack(stack).hasResourceProperties("AWS::CloudWatch::Alarm", {
      EvaluationPeriods: periods,
    });
  });

  test("WHEN a function of its own streams THEN its errors count, too", () => {
    const { stack, migrations } = scene({ streamingUrl: true });
    migrations.alarmOnFailure();

    const counted = Match.objectLike({
      Id: "streamErrors",
      MetricStat: Match.objectLike({
        Metric: {
          Namespace: "AWS/Lambda",
          MetricName: "Errors",
          Dimensions: [
            { Name: "FunctionName", Value: { Ref: Match.stringLikeRegexp("^MigrationsStream") } },
          ],
        },
      }),
    });
    Template.fromStack(stack).hasResourceProperties("AWS::CloudWatch::Alarm", {
      Metrics: Match.arrayWith([
        Match.objectLike({
          Expression: "FILL(failed, 0) + FILL(errors, 0) + FILL(streamErrors, 0)",
        }),
        counted,
      ]),
    });
  });

  test("WHEN it is asked for twice THEN it is one alarm with the actions of both", () => {
    const { stack, migrations } = scene();
    const [one, other] = ["One", "Other"].map((id) => new SnsAction(new Topic(stack, id)));
    if (one === undefined || other === undefined) throw new Error("unreachable");

    expect(migrations.alarmOnFailure(one)).toBe(migrations.alarmOnFailure(other));
    Template.fromStack(stack).resourceCountIs("AWS::CloudWatch::Alarm", 1);
  });

  /** The line of a call's report, as Lambda puts it into the log: in its columns, or inside its JSON. */
  async function loggedLines(event: object): Promise<readonly string[]> {
    const lines: string[] = [];
    const handler = createHandler({
      bundle: () => readBundle(null),
      logFor: (requestId) => createLog(requestId, (line) => lines.push(line)),
    });
    await handler(event, lambdaContext());
    const message = lines.at(-1) ?? "";
    return [`2026-01-01T00:00:00.000Z\trequest\tERROR\t${message}`, JSON.stringify({ message })];
  }

  test("WHEN a call ends THEN its filter finds the line of a run that failed, and no other", async () => {
    const { stack, migrations } = scene();
    migrations.alarmOnFailure();
    const [filter] = Object.values(
      Template.fromStack(stack).findResources("AWS::Logs::MetricFilter"),
    );
    // A term in quotes is found in any line that has it, as it is written.
    const [, term] = /^"([^"]+)"$/.exec(filter?.Properties.FilterPattern) ?? [];
    const failed = await loggedLines({ action: "plan", onFailure: "return" });
    const nothingToRun = await loggedLines({ tf: { action: "delete" } });

    expect(failed.map((line) => line.includes(String(term)))).toEqual([true, true]);
    expect(nothingToRun.map((line) => line.includes(String(term)))).toEqual([false, false]);
  });
});
