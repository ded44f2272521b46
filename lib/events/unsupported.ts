import { MigratorError } from "../errors.ts";
import { asRecord, isRecord } from "../json.ts";
import { quoted } from "../text.ts";
import { meantBy } from "../unknown-fields.ts";
import type { Caller } from "./caller.ts";

/** The keys that give away the events that people connect by mistake. */
const MARKERS: readonly (readonly [string, string])[] = [
  ["detail-type", "an EventBridge event"],
  ["Records", "an SNS, SQS or S3 event"],
  ["neon-migrate.run", "a broken event of its own"],
  ["CodePipeline.job", "a broken CodePipeline event"],
  ["LifecycleEventHookExecutionId", "a broken CodeDeploy event"],
  ["lifecycleStage", "a broken ECS deployment event"],
  ["targetServiceRevisionArn", "a broken ECS deployment event"],
  ["triggerSource", "a Cognito trigger"],
  ["awslogs", "a CloudWatch Logs event"],
  ["invokingEvent", "an AWS Config event"],
  ["methodArn", "an API Gateway authorizer event"],
  ["routeArn", "an API Gateway authorizer event"],
  ["deliveryStreamArn", "a Firehose event"],
  ["invocationSchemaVersion", "an S3 Batch Operations event"],
  ["bootstrapServers", "a Kafka event"],
  ["alarmData", "a CloudWatch alarm"],
  ["requestContext", "an HTTP event of an unknown kind"],
  ["RequestType", "a broken CloudFormation event"],
  ["ResponseURL", "a broken CloudFormation event"],
];

/** Refuses an event that carries the mark of a service that is not served, whatever else is in it. */
export function foreign(event: unknown): Caller | null {
  const marker = isRecord(event) ? MARKERS.find(([key]) => key in event) : undefined;
  return marker === undefined ? null : refused(marker[1]);
}

/** Refuses every other event: none leads to a silent run. A mistyped field is named. */
export function unknown(event: unknown): Caller {
  const name = Object.keys(asRecord(event)).find((each) => meantBy(each) !== undefined);
  if (name === undefined) return refused("an event of an unknown kind");
  return refused(`an event with ${quoted(name)}, by which it may mean ${meantBy(name)}`);
}

function refused(what: string): Caller {
  return {
    source: "unsupported",
    request() {
      throw new MigratorError(
        "UNSUPPORTED_EVENT",
        `The function was fired by ${what}, which it does not serve; nothing was run. To apply what is pending, send {"action":"up"}.`,
      );
    },
    respond({ report }) {
      const { code, message } = report?.error ?? { code: "INTERNAL" as const, message: "" };
      throw new MigratorError(code, message);
    },
  };
}
