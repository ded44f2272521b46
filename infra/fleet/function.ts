import { RemovalPolicy } from "aws-cdk-lib";
import { type IRole, PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Function as LambdaFunction, type Version } from "aws-cdk-lib/aws-lambda";
import type { ILogGroup } from "aws-cdk-lib/aws-logs";
import type { Bucket } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import type { Compiled } from "../compile.ts";
import { databaseUrlEnvironment, grantDatabaseUrl, onlyDatabaseUrl } from "../database-url.ts";
import {
  definedOf,
  functionSettings,
  ledgerEnvironment,
  logGroupOf,
} from "../function-settings.ts";
import { grantApiKey, keyEnvironment } from "../rehearsal.ts";
import { functionRole, grantSurroundings } from "../role.ts";
import { LEDGER, LISTS, RUNS } from "./bucket.ts";
import type { NeonFleetProps } from "./props.ts";
import { grantTargets, targetsEnvironment } from "./targets.ts";

/** The function of a fleet. */
export interface FleetFunction {
  readonly main: LambdaFunction;
  /** What the machine invokes: a deployment in the middle of a run does not change the migrations of that run. */
  readonly version: Version;
  readonly role: IRole;
  readonly logGroup: ILogGroup;
}

/**
 * Makes the function that migrates one tenant, and makes the list before and the report behind them. It is the asset of
 * `NeonMigrations` with other settings: it has no database of its own, and may read what `targets` names.
 * @throws Error for props that Lambda or the function would refuse
 */
export function makeFunction(
  scope: Construct,
  props: NeonFleetProps,
  compiled: Compiled,
  bucket: Bucket,
): FleetFunction {
  const logGroup = logGroupOf(scope, props);
  const role = functionRole(scope, logGroup);
  const environment = {
    ...targetsEnvironment(scope, props),
    FLEET_BUCKET: bucket.bucketName,
    ...serverEnvironment(scope, props, role),
    ...ledgerEnvironment(props),
  };
  grantTargets(scope, props, role);
  grantFiles(bucket, role);
  grantSurroundings(role, props);
  const main = new LambdaFunction(scope, "Function", {
    ...functionSettings(scope, props, compiled),
    ...{ environment, logGroup, role, handler: "index.handler" },
    description: "Applies the Drizzle migrations of this deployment to one tenant of a fleet.",
    // An execution under way has the version in its definition, and would lose it.
    currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
    ...definedOf({ functionName: props.functionName }),
  });
  return { main, version: main.currentVersion, role, logGroup };
}

/** Names the server of targets by `database`, and the key of Neon's API, and lets the function read both. */
function serverEnvironment(
  scope: Construct,
  { databaseUrl, neonApiKey, neonProjectId }: NeonFleetProps,
  role: IRole,
): Readonly<Record<string, string>> {
  const url = databaseUrl === undefined ? undefined : onlyDatabaseUrl(scope, databaseUrl);
  if (url !== undefined) grantDatabaseUrl(scope, url, role);
  if (neonApiKey !== undefined) grantApiKey(scope, neonApiKey, role, "neonApiKey");
  return definedOf({
    ...(url === undefined ? {} : databaseUrlEnvironment(scope, url)),
    ...(neonApiKey === undefined ? {} : keyEnvironment(scope, neonApiKey, "neonApiKey")),
    NEON_PROJECT_ID: neonProjectId,
  });
}

/**
 * Lets the function write the lists and the report, and read the results. Without the right to list, S3 answers 403 for an
 * object that is not there, as the ledger before the first run is.
 */
function grantFiles(bucket: Bucket, role: IRole): void {
  const written = [bucket.arnForObjects(`${RUNS}*`), bucket.arnForObjects(LEDGER)];
  const read = [...written, bucket.arnForObjects(`${LISTS}*`)];
  const allow = (action: string, resources: string[]) =>
    role.addToPrincipalPolicy(new PolicyStatement({ actions: [action], resources }));
  allow("s3:GetObject", read);
  allow("s3:PutObject", written);
  allow("s3:ListBucket", [bucket.bucketArn]);
  bucket.encryptionKey?.grant(role, "kms:Decrypt", "kms:GenerateDataKey");
}
