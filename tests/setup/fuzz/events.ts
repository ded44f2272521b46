import { LOCAL_FUNCTION_ARN } from "../../../local/aws/account.ts";

const REQUEST = { transaction: "each", lockTimeoutMs: 5_000, onFailure: "return" };
const BODY = JSON.stringify(REQUEST);
const ENCODED = Buffer.from(BODY).toString("base64");

/** Plain invocations as pipelines and deployment tools send them. */
export const DIRECT: readonly unknown[] = [
  null,
  {},
  { action: "up" },
  { action: "plan", ...REQUEST },
  { now: "2026-11-24T08:00:00Z" },
  { ...REQUEST, tf: { action: "create", prev_input: null } },
];

const V1 = {
  resource: "/{proxy+}",
  path: "/migrations",
  httpMethod: "POST",
  headers: { "content-type": "application/json" },
  multiValueHeaders: { accept: ["*/*"] },
  queryStringParameters: null,
  multiValueQueryStringParameters: null,
  pathParameters: { proxy: "migrations" },
  stageVariables: null,
  requestContext: { stage: "prod", httpMethod: "POST", resourcePath: "/{proxy+}" },
  body: BODY,
  isBase64Encoded: false,
};

const V2 = {
  version: "2.0",
  routeKey: "$default",
  rawPath: "/migrations",
  rawQueryString: "",
  headers: { "content-type": "application/json" },
  requestContext: { apiId: "x", http: { method: "POST", path: "/migrations" }, stage: "$default" },
  body: ENCODED,
  isBase64Encoded: true,
};

/** Events of Function URL, HTTP API, REST API and load balancer, which ask for a status or apply. */
export const HTTP: readonly unknown[] = [
  V1,
  V2,
  { ...V1, httpMethod: "GET", body: null, queryStringParameters: { executor: "auto" } },
  { ...V1, httpMethod: "GET", path: "/prod/migrations/plan/", body: null },
  { ...V2, requestContext: { http: { method: "GET" } }, body: undefined },
  { ...V1, requestContext: { elb: { targetGroupArn: "arn" } }, queryStringParameters: {} },
];

/** Where CloudFormation waits for the answer, for a function with a local endpoint. Nobody listens on the discard port. */
export const RESPONSE_URL = "http://127.0.0.1:9/answer?signature=x";

const CUSTOM_RESOURCE = {
  RequestType: "Create",
  ResponseURL: RESPONSE_URL,
  StackId: "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/0f",
  RequestId: "7a8b",
  ResourceType: "Custom::NeonMigrations",
  LogicalResourceId: "Migrations",
  ServiceToken: "arn:aws:lambda:eu-central-1:123456789012:function:framework",
  ResourceProperties: {
    ServiceToken: LOCAL_FUNCTION_ARN,
    MigrationsHash: "5f",
    lockTimeoutMs: "5000",
  },
};

/** Requests of a custom resource: behind CDK's Provider framework, and those that we answer ourselves. */
export const CLOUDFORMATION: readonly unknown[] = [
  CUSTOM_RESOURCE,
  { ...CUSTOM_RESOURCE, ServiceToken: LOCAL_FUNCTION_ARN },
  {
    ...CUSTOM_RESOURCE,
    RequestType: "Update",
    PhysicalResourceId: "neon-migrations-x",
    OldResourceProperties: { MigrationsHash: "4e" },
  },
  { ...CUSTOM_RESOURCE, RequestType: "Delete", PhysicalResourceId: "neon-migrations-x" },
];

const job = (UserParameters?: unknown, continuationToken?: unknown) => ({
  "CodePipeline.job": {
    id: "11111111-abcd-1111-abcd-111111abcdef",
    accountId: "123456789012",
    data: {
      actionConfiguration: { configuration: { FunctionName: "neon-migrations", UserParameters } },
      inputArtifacts: [],
      artifactCredentials: { accessKeyId: "a", secretAccessKey: "s", sessionToken: "t" },
      continuationToken,
    },
  },
});

const STATE = { since: 1_700_000_000_000, applied: 1, done: 0 };
const REVISION = { serviceArn: "arn", targetServiceRevisionArn: "green" };

/** Jobs of CodePipeline, hooks of CodeDeploy and of ECS. */
export const DEPLOYMENTS: readonly object[] = [
  job(),
  job(BODY),
  job("plan"),
  job("", JSON.stringify(STATE)),
  { DeploymentId: "d-1", LifecycleEventHookExecutionId: "x" },
  { executionId: "e", lifecycleStage: "PRE_SCALE_UP", executionDetails: REVISION },
  { ...REVISION, hookDetails: { ...REQUEST, neonMigrations: STATE } },
  {
    lifecycleStage: "PRODUCTION_TRAFFIC_SHIFT",
    executionDetails: { ...REVISION, productionTrafficWeights: { green: 0, blue: 100 } },
  },
];

/** Events of other services with a mark, which outweighs any request in the event. */
export const MARKED: readonly object[] = [
  { Records: [{ eventSource: "aws:sqs", body: '{"action":"up"}', messageId: "1" }] },
  { Records: [{ EventSource: "aws:sns", Sns: { Message: '{"action":"up"}' } }] },
  { Records: [{ eventSource: "aws:s3", s3: { object: { key: "migrations" } } }] },
  { Records: [{ cf: { request: { method: "POST", uri: "/migrations" } } }] },
  { version: "0", "detail-type": "Scheduled Event", source: "aws.events", detail: {} },
  { "CodePipeline.job": "1" },
  { LifecycleEventHookExecutionId: "x" },
  { lifecycleStage: "PRE_SCALE_UP", executionDetails: {} },
  { eventSource: "aws:kafka", bootstrapServers: "b", records: { "t-0": [] } },
  { source: "aws.cloudwatch", alarmArn: "arn", time: "2026-11-24", alarmData: {} },
  { awslogs: { data: "H4sI" } },
  { triggerSource: "PreSignUp_SignUp", request: {}, response: {} },
  { invokingEvent: "{}", ruleParameters: "{}" },
  { invocationId: "1", deliveryStreamArn: "arn:aws:firehose:x", records: [] },
  { type: "TOKEN", methodArn: "arn:aws:execute-api:x", authorizationToken: "x" },
  { ...V1, type: "REQUEST", methodArn: "arn:aws:execute-api:x/prod/POST/migrations" },
  { ...V2, type: "REQUEST", routeArn: "arn:aws:execute-api:x", identitySource: ["x"] },
  { requestContext: { routeKey: "$default", eventType: "MESSAGE", connectionId: "x" }, body: BODY },
];

/** Events of other services without such a mark. None of them holds a request. */
export const UNMARKED: readonly object[] = [
  { Step: "createSecret", SecretId: "arn", ClientRequestToken: "x" },
  { arguments: {}, identity: null, source: null, info: { fieldName: "migrate" } },
  { region: "eu-central-1", transformId: "x", fragment: {}, params: {}, requestId: "r" },
  { httpMethod: "POST", path: "/migrations", body: BODY },
  { version: "2.0", path: "/migrations", method: "POST", headers: {}, body: BODY },
  { Service: "Amazon S3", Event: "s3:TestEvent", Time: "2026-11-24" },
  { acton: "plan" },
  { id: 1, modified: null, name: "x" },
  { sessionState: {}, inputTranscript: "up" },
];
