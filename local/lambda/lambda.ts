/*
 * A stand-in for AWS Lambda. A folder with a handler comes in, and a function that can be called goes out. Its processes
 * run behind our own Runtime API, with Lambda's limits and environment. `service.ts` puts Lambda's API in front of it.
 * Nothing here knows the handler or its events.
 */

import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { RETRY_ATTEMPTS } from "../../lib/events/redelivery.ts";
import { LOCAL_FUNCTION_ARN } from "../aws/account.ts";
import { type Job, type Outcome, Sandbox, type SandboxOptions } from "./sandbox.ts";

/** A function to run locally. */
export interface LambdaOptions {
  /** The directory to deploy: `index.mjs`, which exports `handler`, and the files that it reads. */
  readonly handlerDirectory: string;
  /** The function's environment variables. Of our own environment it gets only PATH and HOME. */
  readonly environment?: Readonly<Record<string, string>>;
  /** How long one call may take. Default: 900,000, Lambda's maximum. */
  readonly timeoutMs?: number;
  /** The function's ARN. Default: one of an account that does not exist. */
  readonly functionArn?: string;
  /** The Node binary that runs the function. Default: our own. */
  readonly nodePath?: string;
}

/** One call of the function, as its caller sees it. */
export interface Invocation extends Outcome {
  readonly requestId: string;
  /** Whether a process was started for this call. */
  readonly coldStart: boolean;
}

/** The settings of a call beside its event. */
export interface CallOptions {
  /** The request id. Default: a new one. */
  readonly requestId?: string;
  /** The alias or version that the caller names. The function sees it at the end of its ARN. */
  readonly qualifier?: string;
  /** Gets each part of a streamed answer as it comes; see `Job`. */
  readonly onPart?: (part: string) => boolean;
}

/** A function behind a stand-in for Lambda's Runtime API. */
export interface LocalLambda {
  readonly functionArn: string;
  /** Calls the function and waits (invocation type `RequestResponse`). A failure of the function does not reject. */
  invoke(event: unknown, options?: CallOptions): Promise<Invocation>;
  /**
   * Queues the event as CloudFormation and others do (type `Event`). A failed call is repeated with the same request
   * id. Lambda waits one minute, then two, before a repetition; this stand-in repeats at once.
   * @param options.maximumRetryAttempts 0, 1 or 2. Default: what our construct deploys. Lambda's own is 2
   * @returns every attempt
   */
  invokeAsync(
    event: unknown,
    options?: CallOptions & { readonly maximumRetryAttempts?: number },
  ): Promise<readonly Invocation[]>;
  /** Stops the processes of the function with SIGSTOP; `false` lets them go on. */
  freeze(frozen?: boolean): void;
  /** Kills the processes of the function. */
  stop(): Promise<void>;
}

const MAX_TIMEOUT_MS = 900_000;

/**
 * Prepares a function. As in Lambda, each process serves one call at a time and is used again while it lives, and
 * calls at the same time get processes of their own.
 */
export function startLambda(options: LambdaOptions): LocalLambda {
  const functionArn = options.functionArn ?? LOCAL_FUNCTION_ARN;
  const settings = sandboxOptions(options, functionArn);
  const idle: Sandbox[] = [];
  const all = new Set<Sandbox>();

  const run = async (job: Job): Promise<Invocation> => {
    const warm = takeUsable(idle);
    const sandbox = warm ?? new Sandbox(settings);
    all.add(sandbox);
    if (warm === null) await sandbox.start();
    const outcome = await sandbox.invoke(job);
    if (sandbox.usable) idle.push(sandbox);
    return { ...outcome, requestId: job.requestId, coldStart: warm === null };
  };

  const jobFor = (
    event: unknown,
    { requestId = randomUUID(), qualifier, ...rest }: CallOptions,
  ): Job => ({
    ...rest,
    requestId,
    event,
    functionArn: qualifier === undefined ? functionArn : `${functionArn}:${qualifier}`,
  });
  return {
    functionArn,
    invoke: (event, call = {}) => run(jobFor(event, call)),
    invokeAsync: async (event, { maximumRetryAttempts = RETRY_ATTEMPTS, ...call } = {}) => {
      const job = jobFor(event, call);
      const attempts: Invocation[] = [];
      do {
        attempts.push(await run(job));
      } while (attempts.at(-1)?.functionError !== null && attempts.length <= maximumRetryAttempts);
      return attempts;
    },
    freeze: (frozen = true) => {
      for (const sandbox of all) sandbox.freeze(frozen);
    },
    stop: async () => {
      await Promise.all([...all].map((sandbox) => sandbox.stop()));
    },
  };
}

/** Takes an idle process. One that has died meanwhile, by a late exception, is skipped. */
function takeUsable(idle: Sandbox[]): Sandbox | null {
  for (let sandbox = idle.pop(); sandbox !== undefined; sandbox = idle.pop()) {
    if (sandbox.usable) return sandbox;
  }
  return null;
}

function sandboxOptions(options: LambdaOptions, functionArn: string): SandboxOptions {
  const taskRoot = resolve(options.handlerDirectory);
  return {
    nodePath: options.nodePath ?? process.execPath,
    taskRoot,
    functionArn,
    timeoutMs: options.timeoutMs ?? MAX_TIMEOUT_MS,
    environment: { ...lambdaEnvironment(taskRoot, functionArn), ...options.environment },
  };
}

/** Returns Lambda's own variables (AWS Lambda documentation, "Defined runtime environment variables"). */
export function lambdaEnvironment(
  taskRoot: string,
  functionArn: string,
): Readonly<Record<string, string>> {
  const region = functionArn.split(":")[3] ?? "";
  const name = functionArn.split(":")[6] ?? "";
  const { PATH = "", HOME = "" } = process.env;
  return {
    PATH,
    HOME,
    TZ: ":UTC",
    LANG: "en_US.UTF-8",
    _HANDLER: "index.handler",
    LAMBDA_TASK_ROOT: taskRoot,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "512",
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: "local",
    // Nothing of AWS is reached from here, whatever a function forgets to set.
    AWS_ENDPOINT_URL: "http://127.0.0.1:9",
    // The role's credentials. They are worth nothing, and the stand-ins accept them.
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    AWS_SESSION_TOKEN: "local",
  };
}
