import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Annotations, CustomResource, Duration, FileSystem } from "aws-cdk-lib";
import type { Grant, IGrantable } from "aws-cdk-lib/aws-iam";
import {
  Architecture,
  Code,
  type FunctionUrl,
  FunctionUrlAuthType,
  type IFunction,
  Function as LambdaFunction,
  Runtime,
} from "aws-cdk-lib/aws-lambda";
import { LogGroup, RetentionDays } from "aws-cdk-lib/aws-logs";
import type { ISecret } from "aws-cdk-lib/aws-secretsmanager";
import type { IStringParameter } from "aws-cdk-lib/aws-ssm";
import { Construct, type IConstruct } from "constructs";
import type { Request } from "../lib/request.ts";

/** Where the function finds the connection string. The template holds the reference, never the value. */
export type DatabaseUrl =
  | {
      readonly secret: ISecret;
      /** The field of a JSON secret. @default - the whole secret, or one of the usual fields */
      readonly field?: string;
    }
  | { readonly parameter: IStringParameter };

/** How migrations are wired into a deployment. */
export interface NeonMigrationsProps {
  /** Drizzle's folder, with `meta/_journal.json`. Compiled at synth; a broken one fails the synth. */
  readonly migrations: string;

  /** The database, by reference. */
  readonly databaseUrl: DatabaseUrl;

  /**
   * Policies and limits of the run; see the README's table.
   * @default - refuse what is out of order, warn of what is modified
   */
  readonly request?: Partial<
    Pick<
      Request,
      | "transaction"
      | "outOfOrder"
      | "modified"
      | "ahead"
      | "executor"
      | "lockTimeoutMs"
      | "ddlLockTimeoutMs"
      | "timeoutMs"
    >
  >;

  /** How long the function may run, 15 minutes at most. @default Duration.minutes(15) */
  readonly timeout?: Duration;

  /** Memory of the function, in MB: 128 is enough for 300 migrations, 512 for 10,000. @default 512 */
  readonly memorySize?: number;

  /** How long its log is kept. @default RetentionDays.SIX_MONTHS */
  readonly logRetention?: RetentionDays;

  /** Whether to add an HTTP endpoint, for callers who sign with IAM. @default false */
  readonly functionUrl?: boolean;
}

/** What `neon-migrate bundle --json` prints, as far as it is needed here. */
interface BundleSummary {
  readonly hash: string;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

/** CloudFormation waits this much longer than the function may run, and no longer. */
const SERVICE_TIMEOUT_MARGIN_SECONDS = 60;

/**
 * Runs a Drizzle folder's migrations during the deployment: a Lambda function holds them, and a custom
 * resource fires it when, and only when, they changed. What needs the new schema comes after it:
 * `migrations.executeBefore(service)`.
 */
export class NeonMigrations extends Construct {
  /** The function; also a pipeline may invoke it. */
  readonly function: IFunction;
  /** Present when `functionUrl` was asked for. */
  readonly functionUrl: FunctionUrl | undefined;
  /** Changes when and only when the migrations do. */
  readonly migrationsHash: string;
  /** `applied` or `up-to-date`. */
  readonly status: string;
  /** How many migrations this deployment applied. */
  readonly appliedCount: string;
  /** Tag of the newest applied migration. */
  readonly latest: string;
  readonly #resource: CustomResource;

  constructor(scope: Construct, id: string, props: NeonMigrationsProps) {
    super(scope, id);
    const asset = FileSystem.mkdtemp("neon-migrations-");
    const summary = compileAsset(props.migrations, asset, this.node.path);
    for (const { code, message } of summary.warnings) {
      Annotations.of(this).addWarningV2(`neon-lambda-migrator:${code}`, message);
    }
    const timeout = props.timeout ?? Duration.minutes(15);
    const lambda = new LambdaFunction(this, "Function", {
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: "index.handler",
      code: Code.fromAsset(asset),
      description: "Applies the Drizzle migrations of this deployment to Neon.",
      memorySize: props.memorySize ?? 512,
      timeout,
      // A run that failed must not come back an hour later by itself.
      retryAttempts: 0,
      environment: reference(props.databaseUrl),
      logGroup: new LogGroup(this, "Log", {
        retention: props.logRetention ?? RetentionDays.SIX_MONTHS,
      }),
    });
    grantRead(props.databaseUrl, lambda);
    this.function = lambda;
    this.functionUrl =
      props.functionUrl === true
        ? lambda.addFunctionUrl({ authType: FunctionUrlAuthType.AWS_IAM })
        : undefined;
    this.migrationsHash = summary.hash;
    this.#resource = new CustomResource(this, "Run", {
      serviceToken: lambda.functionArn,
      resourceType: "Custom::NeonMigrations",
      serviceTimeout: Duration.seconds(
        Math.min(timeout.toSeconds() + SERVICE_TIMEOUT_MARGIN_SECONDS, 3600),
      ),
      properties: { ...props.request, MigrationsHash: summary.hash },
    });
    // The role's right to read the secret must be there before the function is fired.
    this.#resource.node.addDependency(lambda);
    this.status = this.#resource.getAttString("status");
    this.appliedCount = this.#resource.getAttString("appliedCount");
    this.latest = this.#resource.getAttString("latest");
  }

  /** Deploys these only after the migrations have been applied. */
  executeBefore(...scopes: readonly IConstruct[]): void {
    for (const scope of scopes) scope.node.addDependency(this.#resource);
  }

  /** Applies the migrations only after these have been deployed. */
  executeAfter(...scopes: readonly IConstruct[]): void {
    for (const scope of scopes) this.#resource.node.addDependency(scope);
  }

  /** Lets a pipeline or a person invoke the function. */
  grantInvoke(grantee: IGrantable): Grant {
    return this.function.grantInvoke(grantee);
  }
}

function reference(url: DatabaseUrl): Record<string, string> {
  if ("parameter" in url) return { DATABASE_URL_PARAMETER: url.parameter.parameterName };
  return {
    DATABASE_URL_SECRET: url.secret.secretArn,
    ...(url.field === undefined ? {} : { DATABASE_URL_SECRET_FIELD: url.field }),
  };
}

function grantRead(url: DatabaseUrl, grantee: IGrantable): void {
  if ("parameter" in url) url.parameter.grantRead(grantee);
  else url.secret.grantRead(grantee);
}

/**
 * Runs the package's own command in a process of its own: the parser loads asynchronously, and a
 * constructor cannot wait.
 * @throws Error with the file and the line, for a folder that does not compile
 */
function compileAsset(folder: string, out: string, path: string): BundleSummary {
  const source = import.meta.url.endsWith(".ts");
  const cli = fileURLToPath(
    new URL(`../bin/neon-migrate.${source ? "ts" : "js"}`, import.meta.url),
  );
  const runner = source ? ["--import", "tsx"] : [];
  try {
    const output = execFileSync(
      process.execPath,
      [...runner, cli, "bundle", "--folder", folder, "--out", out, "--json"],
      { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
    );
    return JSON.parse(output);
  } catch (thrown) {
    throw new Error(`${path}: ${reasonOf(thrown)}`);
  }
}

function reasonOf(thrown: unknown): string {
  const printed: unknown =
    typeof thrown === "object" && thrown !== null ? Reflect.get(thrown, "stdout") : "";
  try {
    const { error } = JSON.parse(String(printed));
    return `${error.code}: ${error.message}`;
  } catch {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
