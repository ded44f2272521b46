import type { Duration, RemovalPolicy } from "aws-cdk-lib";
import type { ISecurityGroup, IVpc, SubnetSelection } from "aws-cdk-lib/aws-ec2";
import type { Architecture, Runtime, Tracing } from "aws-cdk-lib/aws-lambda";
import type { ILogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import type { DatabaseUrl, ParameterDatabaseUrl, SecretDatabaseUrl } from "./database-url.ts";

/** Policies and limits of the run, with the same names as in every caller's request. */
export interface RunRequest {
  /** One transaction for all, or one per migration. @default "auto" - one for all */
  readonly transaction?: "auto" | "all" | "each";
  /** Reaction to a pending migration that is older than the newest applied one. @default "error" */
  readonly outOfOrder?: "error" | "apply";
  /** Reaction to a file that was changed after it was applied. @default "warn" */
  readonly modified?: "warn" | "error";
  /** Reaction, at the first deployment, to a database that has more migrations than the folder. @default "warn" */
  readonly ahead?: "warn" | "error";
  /** The executor that applies. @default "auto" */
  readonly executor?: "auto" | "drizzle" | "statements";
  /** How long to wait for another run, in ms. @default - as long as the function's time allows */
  readonly lockTimeoutMs?: number;
  /** How long one try of a statement may wait for a table lock, in ms. @default 2000 */
  readonly ddlLockTimeoutMs?: number;
  /** How long the whole run may take, in ms. @default - as long as the function may */
  readonly timeoutMs?: number;
}

/** The place of a key of Neon's API: a secret or a parameter. Its value is the key itself, or JSON with the key in a field. */
export type NeonApiKey = SecretNeonApiKey | ParameterDatabaseUrl;

/** A secret of Secrets Manager. The template holds its name or ARN, never its value. */
export interface SecretNeonApiKey extends Pick<SecretDatabaseUrl, "secret" | "encryptionKey"> {
  /** The field of a JSON secret. @default - the whole secret, or `apiKey`, `NEON_API_KEY`, `api_key` or `key` */
  readonly field?: string;
}

/** A rehearsal of the migrations on a Neon branch of production. */
export interface RehearsalOptions {
  /** A key of Neon's API, by reference. Best is one that may use this project only. */
  readonly apiKey: NeonApiKey;
  /**
   * The id of the database's Neon project, such as `late-frost-12345678`. A key that may use one project only may not be able
   * to find it.
   * @default - the project among those that the key may list that has the endpoint of the connection string
   */
  readonly projectId?: string;
  /**
   * `first`: a deployment applies only what was rehearsed well. `try`: it also applies where Neon's API could not be had,
   * with a warning.
   * @default "first"
   */
  readonly mode?: "first" | "try";
  /** The most that a rehearsal may show. @default - no limit */
  readonly limits?: {
    /** For how long reads or writes of a table may stand still, in ms. @default - no limit */
    readonly blockedMs?: number;
    /** For how long all statements may take, in ms. @default - no limit */
    readonly totalMs?: number;
  };
}

/** The findings of `neon-migrate check` that the synth shows, and those that fail it. */
export interface CheckOptions {
  /**
   * A migration's tag, or a git ref such as `origin/main`: only migrations that are new since then.
   * @default - all migrations
   */
  readonly since?: string;
  /**
   * The severity from which on a finding fails the synth. Any other finding is a warning.
   * @default "never"
   */
  readonly failOn?: "error" | "warning" | "never";
}

/** The settings of the construct. */
export interface NeonMigrationsProps {
  /**
   * Drizzle's folder, relative to the app's working directory. The synth compiles it, and fails for a broken one.
   * @default - `out` of the drizzle.config file, else `drizzle`
   */
  readonly migrations?: string;

  /**
   * The drizzle.config file, relative to the app's working directory; false: none. It says where migrations and ledger
   * are, if other props do not; its `dbCredentials` are never used.
   * @default - `drizzle.config.ts` (or `.js`, `.json`, `.mts`, `.mjs`, `.cjs`) of the working directory, if it is there
   */
  readonly config?: string | false;

  /** The database, by reference. */
  readonly databaseUrl: DatabaseUrl;

  /**
   * Policies and limits of the run.
   * @default - refuse out-of-order migrations, warn of modified ones
   */
  readonly request?: RunRequest;

  /**
   * A rehearsal on a Neon branch of production, which a deployment makes before it applies anything. Other callers ask for one in
   * their request.
   * @default - none
   */
  readonly rehearsal?: RehearsalOptions;

  /**
   * The place of Drizzle's ledger, and whether a history is kept beside it.
   * @default - `migrations` of the drizzle.config file, else table `__drizzle_migrations` in schema `drizzle`; a history
   *   in a schema of the ledger's own, unless Drizzle 1.0 is used
   */
  readonly ledger?: {
    readonly schema?: string;
    readonly table?: string;
    readonly history?: boolean;
  };

  /**
   * The findings of `neon-migrate check` that the synth shows; false: none.
   * @default - one warning for each rule that is broken
   */
  readonly check?: CheckOptions | false;

  /**
   * Whether deploying the stack applies the migrations. If false, only a pipeline, a hook or a person fires
   * the function.
   * @default true
   */
  readonly runOnDeploy?: boolean;

  /**
   * Whether each deployment fires the function, even without a new migration. Each synth then makes
   * another template.
   * @default false
   */
  readonly alwaysRun?: boolean;

  /** Whether to add an HTTP endpoint, for callers that sign with IAM. @default false */
  readonly functionUrl?: boolean;

  /**
   * Whether to add an HTTP endpoint that streams a run's progress, for callers that sign with IAM. The endpoint has a
   * function of its own.
   * @default false
   */
  readonly streamingUrl?: boolean;

  /**
   * Whether to add the function that streams a run's progress without an endpoint: for an API of yours, or in a VPC,
   * where function URLs do not stream. It is `migrations.streamingFunction`.
   * @default - only with `streamingUrl`
   */
  readonly streamingFunction?: boolean;

  /**
   * Whether `POST /migrations` with `Prefer: respond-async` is answered at once, and its run goes on by itself. The
   * function may then invoke itself.
   * @default false
   */
  readonly asyncRuns?: boolean;

  /** The function's name. CloudFormation refuses a later change, which replaces the function. @default - generated */
  readonly functionName?: string;

  /** The runtime of the function: `NODEJS_24_X` or `NODEJS_22_X`. @default Runtime.NODEJS_24_X */
  readonly runtime?: Runtime;

  /** The architecture of the function. @default Architecture.ARM_64 */
  readonly architecture?: Architecture;

  /**
   * Memory of the function, in MB: 128 is enough for 300 migrations, 512 for 10,000 or 80 MB of SQL. Too little for the
   * bundle is an error at synth.
   * @default 512, or 2048 with a `capacityProvider`, which is the least there
   */
  readonly memorySize?: number;

  /**
   * How long the function may run: 15 minutes at most, or 90 with a `capacityProvider`.
   * @default Duration.minutes(15)
   */
  readonly timeout?: Duration;

  /**
   * How often Lambda delivers an event again when the process died before it answered: 0, 1 or 2. CloudFormation waits
   * for as many runs.
   * @default 1
   */
  readonly retryAttempts?: number;

  /**
   * Lambda Managed Instances for the function: CDK's `CapacityProvider`, or anything else with its ARN. Calls that nobody
   * waits for, such as a deployment's, may then take longer than 15 minutes. The function's network is the provider's.
   * @default - a standard function
   */
  readonly capacityProvider?: { readonly capacityProviderArn: string };

  /** Whether X-Ray traces the function. @default - no tracing */
  readonly tracing?: Tracing;

  /**
   * A VPC for the function, for databases that admit certain addresses only. The VPC needs a way to the internet for
   * Neon, and to S3 for the answer to CloudFormation; see docs/reference/construct.md.
   * @default - none
   */
  readonly vpc?: IVpc;

  /** The subnets for the function in the VPC. @default - its private subnets */
  readonly vpcSubnets?: SubnetSelection;

  /** Security groups in the VPC. @default - one of its own, without incoming traffic */
  readonly securityGroups?: readonly ISecurityGroup[];

  /** Your log group for the function. @default - a log group of its own */
  readonly logGroup?: ILogGroup;

  /** How long the log is kept. @default RetentionDays.SIX_MONTHS */
  readonly logRetention?: RetentionDays;

  /** Whether the log stays or goes when the stack is deleted. @default RemovalPolicy.RETAIN */
  readonly logRemovalPolicy?: RemovalPolicy;
}
