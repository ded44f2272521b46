import { MigratorError } from "../errors.ts";
import { quoted } from "../text.ts";
import { meantBy } from "../unknown-fields.ts";

/** The events that people connect by mistake, by the keys that give them away. */
const EVENTS: ReadonlyMap<string, string> = new Map([
  ["detail-type", "an EventBridge event"],
  ["Records", "an SNS, SQS or S3 event"],
  ["neon-migrate.run", "a broken event of its own"],
  ["neon-migrate.fleet", "a broken event of a fleet"],
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
]);

/** Makes the error of an event that is not served. @param key the field that gave it away; empty without one */
export function unsupported(key: string): MigratorError {
  return new MigratorError(
    "UNSUPPORTED_EVENT",
    `The function was fired by ${nameOf(key)}, which it does not serve; nothing was run. To apply what is pending, send {"action":"up"}.`,
  );
}

function nameOf(key: string): string {
  const known = EVENTS.get(key);
  if (known !== undefined || key === "") return known ?? "an event of an unknown kind";
  return `an event with ${quoted(key)}, by which it may mean ${meantBy(key)}`;
}
