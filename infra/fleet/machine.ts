import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ArnFormat, Stack } from "aws-cdk-lib";
import { Policy, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { Function as LambdaFunction, Version } from "aws-cdk-lib/aws-lambda";
import type { Bucket } from "aws-cdk-lib/aws-s3";
import { DefinitionBody, StateMachine, StateMachineType } from "aws-cdk-lib/aws-stepfunctions";
import type { Construct } from "constructs";
import { packageRoot } from "../../lib/package-root.ts";
import { acknowledge } from "../role.ts";
import { RUNS } from "./bucket.ts";

/** The `Label` of the Map in the definition, which is part of the names of its executions. */
const LABEL = "wave";

/** Returns the machine's definition, as SAM, Terraform and the stand-in take it, too. */
export function definition(): string {
  return readFileSync(join(packageRoot(), "infra/fleet.asl.json"), "utf8");
}

/**
 * Makes the state machine of the file, byte for byte. Its role may invoke the function, read the lists and write the results
 * of runs, and start and stop the executions of its own Map. It reads no secret and no ledger.
 */
export function makeMachine(
  scope: Construct,
  { main, version }: { readonly main: LambdaFunction; readonly version: Version },
  bucket: Bucket,
): StateMachine {
  const role = new Role(scope, "MachineRole", {
    assumedBy: new ServicePrincipal("states.amazonaws.com"),
  });
  role.addToPrincipalPolicy(
    // Any version: the right must not go from under an execution that began before this deployment.
    new PolicyStatement({
      actions: ["lambda:InvokeFunction"],
      resources: [`${main.functionArn}:*`],
    }),
  );
  role.addToPrincipalPolicy(
    new PolicyStatement({
      actions: [
        "s3:GetObject",
        "s3:PutObject",
        "s3:ListMultipartUploadParts",
        "s3:AbortMultipartUpload",
      ],
      resources: [bucket.arnForObjects(`${RUNS}*`)],
    }),
  );
  bucket.encryptionKey?.grant(role, "kms:Decrypt", "kms:GenerateDataKey");
  const machine = new StateMachine(scope, "Machine", {
    stateMachineType: StateMachineType.STANDARD,
    definitionBody: DefinitionBody.fromString(definition()),
    definitionSubstitutions: { FunctionArn: version.functionArn, Bucket: bucket.bucketName },
    comment: "Migrates one database per tenant, wave by wave.",
    role,
  });
  allowOwnExecutions(scope, machine, role);
  acknowledge(machine, "AwsSolutions-SF1", HISTORY);
  acknowledge(machine, "AwsSolutions-SF2", HISTORY);
  return machine;
}

const HISTORY =
  "Step Functions keeps the history of each tenant for 90 days, and the report of a run lies in the bucket.";

/** A policy of its own: the machine waits for the policy of its role, so that one cannot name the machine. */
function allowOwnExecutions(scope: Construct, machine: StateMachine, role: Role): void {
  const [executions = "", , redriven = ""] = executionsOf(machine);
  new Policy(scope, "OwnExecutions", {
    roles: [role],
    statements: [
      new PolicyStatement({
        actions: ["states:StartExecution"],
        resources: [machine.stateMachineArn],
      }),
      new PolicyStatement({
        actions: ["states:DescribeExecution", "states:StopExecution"],
        resources: [executions],
      }),
      new PolicyStatement({
        actions: ["states:RedriveExecution"],
        resources: [redriven],
      }),
    ],
  });
}

/** The names of the machine's executions, of its Map Runs, and of the Map's own executions, one for each tenant. */
export function executionsOf(machine: StateMachine): readonly string[] {
  const arn = (resource: string, name: string) =>
    Stack.of(machine).formatArn({
      ...{ service: "states", resource, arnFormat: ArnFormat.COLON_RESOURCE_NAME },
      resourceName: name,
    });
  const name = machine.stateMachineName;
  return [
    arn("execution", `${name}:*`),
    arn("mapRun", `${name}/${LABEL}:*`),
    arn("execution", `${name}/${LABEL}:*`),
  ];
}
