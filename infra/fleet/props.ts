import type { RemovalPolicy } from "aws-cdk-lib";
import type { Schedule } from "aws-cdk-lib/aws-events";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { DatabaseUrl } from "../database-url.ts";
import type { NeonApiKey, NeonMigrationsProps } from "../props.ts";
import type { FleetInput } from "./input.ts";

/** The props of `NeonMigrations` that mean the same for a fleet. */
type Shared =
  | "migrations"
  | "config"
  | "ledger"
  | "check"
  | "functionName"
  | "runtime"
  | "architecture"
  | "memorySize"
  | "timeout"
  | "tracing"
  | "vpc"
  | "vpcSubnets"
  | "securityGroups"
  | "logGroup"
  | "logRetention"
  | "logRemovalPolicy";

/** The settings of the construct. */
export interface NeonFleetProps extends Pick<NeonMigrationsProps, Shared> {
  /**
   * What a target may name, by its beginning: `parameter:/tenants/*`, `secret:tenants/*`, `database:tenant_*`, `neon:*`.
   * The function may read exactly these secrets and parameters, and refuses every other target.
   */
  readonly targets: readonly string[];

  /** The customer-managed keys of those secrets and parameters. @default - AWS' own keys */
  readonly encryptionKeys?: readonly IKey[];

  /**
   * The server of targets that are named by `database`: its host, role and password, by reference.
   * @default - none; needed where `targets` has a `database:`
   */
  readonly databaseUrl?: DatabaseUrl;

  /**
   * A key of Neon's API, by reference: for targets that are named by `neon`, for lists of an organization's projects, and
   * for rehearsals.
   * @default - none; needed where `targets` has a `neon:`
   */
  readonly neonApiKey?: NeonApiKey;

  /**
   * The project whose branches a rehearsal makes, where all targets are databases of one.
   * @default - the project that a target names
   */
  readonly neonProjectId?: string;

  /**
   * What a start by `schedule`, by `startOnDeploy` or by `fleet.startTarget()` sends: the list, the waves and the budget.
   * @default - none: the command line or a pipeline sends its own
   */
  readonly input?: FleetInput;

  /** When to start by itself; needs `input`. @default - never */
  readonly schedule?: Schedule;

  /**
   * Whether the fleet starts behind each deployment of the stack that went well; needs `input`. The deployment does not
   * wait for it, and does not fail with it.
   * @default false
   */
  readonly startOnDeploy?: boolean;

  /** A customer-managed key for the bucket. @default - keys of S3 */
  readonly bucketKey?: IKey;

  /** Whether the bucket with the reports stays or goes when the stack is deleted. @default RemovalPolicy.RETAIN */
  readonly bucketRemovalPolicy?: RemovalPolicy;
}
