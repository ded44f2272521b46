import type { Duration, RemovalPolicy } from "aws-cdk-lib";
import type { ISecurityGroup, IVpc, SubnetSelection } from "aws-cdk-lib/aws-ec2";
import type { Architecture, Runtime, Tracing } from "aws-cdk-lib/aws-lambda";
import type { ILogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import type { DatabaseUrl } from "./database-url.ts";

/** Policies and limits of the run, in the words that every caller uses. */
export interface RunRequest {
  /** One transaction for all, or one per migration. @default "auto" - one for all */
  readonly transaction?: "auto" | "all" | "each";
  /** What to do with a pending migration that is older than the newest applied one. @default "error" */
  readonly outOfOrder?: "error" | "apply";
  /** What to do when a file was changed after it was applied. @default "warn" */
  readonly modified?: "warn" | "error";
  /** What to do at the first deployment when the database has more migrations than the folder. @default "warn" */
  readonly ahead?: "warn" | "error";
  /** Which executor applies. @default "auto" */
  readonly executor?: "auto" | "drizzle" | "statements";
  /** How long to wait for another run, in ms. @default - what the function's time allows for */
  readonly lockTimeoutMs?: number;
  /** How long a statement may wait for a table lock at a time, in ms. @default 2000 */
  readonly ddlLockTimeoutMs?: number;
  /** How long the whole run may take, in ms. @default - as long as the function may */
  readonly timeoutMs?: number;
}

/** Which findings of `neon-migrate check` the synth shows, and which of them fail it. */
export interface CheckOptions {
  /**
   * A migration's tag, or a git ref such as `origin/main`: only what is new since then.
   * @default - all migrations
   */
  readonly since?: string;
  /**
   * From which severity on a finding fails the synth. What fails nothing is a warning.
   * @default "never"
   */
  readonly failOn?: "error" | "warning" | "never";
}

/** How migrations are wired into a deployment. */
export interface NeonMigrationsProps {
  /** Drizzle's folder, seen from where the app runs. Compiled at synth; a broken one fails the synth. */
  readonly migrations: string;

  /** The database, by reference. */
  readonly databaseUrl: DatabaseUrl;

  /**
   * Policies and limits of the run.
   * @default - refuse what is out of order, warn of what is modified
   */
  readonly request?: RunRequest;

  /**
   * Where Drizzle's ledger is, as `drizzle.config.ts` says under `migrations`.
   * @default - table `__drizzle_migrations` in schema `drizzle`
   */
  readonly ledger?: { readonly schema?: string; readonly table?: string };

  /**
   * Which findings of `neon-migrate check` the synth shows; false: none.
   * @default - one warning for each rule that is broken
   */
  readonly check?: CheckOptions | false;

  /**
   * Whether deploying the stack applies the migrations. Without, only a pipeline, a hook or a person fires
   * the function.
   * @default true
   */
  readonly runOnDeploy?: boolean;

  /**
   * Whether each deployment fires the function, also where no migration is new. Each synth then makes
   * another template.
   * @default false
   */
  readonly alwaysRun?: boolean;

  /** Whether to add an HTTP endpoint, for callers who sign with IAM. @default false */
  readonly functionUrl?: boolean;

  /**
   * Whether to add an HTTP endpoint that tells how far a run is while it runs, for callers who sign with IAM.
   * It has a function of its own.
   * @default false
   */
  readonly streamingUrl?: boolean;

  /**
   * Whether `POST /migrations` with `Prefer: respond-async` is answered at once and goes on by itself: the
   * function may then invoke itself.
   * @default false
   */
  readonly asyncRuns?: boolean;

  /** The function's name. Changing it later replaces the function, which CloudFormation refuses. @default - generated */
  readonly functionName?: string;

  /** `NODEJS_24_X` or `NODEJS_22_X`. @default Runtime.NODEJS_24_X */
  readonly runtime?: Runtime;

  /** @default Architecture.ARM_64 */
  readonly architecture?: Architecture;

  /** Memory of the function, in MB: 128 is enough for 300 migrations, 512 for 10,000. @default 512 */
  readonly memorySize?: number;

  /** How long the function may run, 15 minutes at most. @default Duration.minutes(15) */
  readonly timeout?: Duration;

  /** Whether X-Ray traces the function. @default - not */
  readonly tracing?: Tracing;

  /**
   * A VPC to run in, for databases that admit certain addresses only. It needs a way to the internet for
   * Neon, and to S3 for CloudFormation's answer; see docs/construct.md.
   * @default - none
   */
  readonly vpc?: IVpc;

  /** Where in the VPC. @default - its private subnets */
  readonly vpcSubnets?: SubnetSelection;

  /** Security groups in the VPC. @default - one of its own, without incoming traffic */
  readonly securityGroups?: readonly ISecurityGroup[];

  /** A log group of yours. @default - one of its own */
  readonly logGroup?: ILogGroup;

  /** How long the log is kept. @default RetentionDays.SIX_MONTHS */
  readonly logRetention?: RetentionDays;

  /** What becomes of the log with the stack. @default RemovalPolicy.RETAIN */
  readonly logRemovalPolicy?: RemovalPolicy;
}
