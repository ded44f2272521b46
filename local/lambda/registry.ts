import { LOCAL_ACCOUNT } from "../aws/account.ts";
import { type Answer, refusal } from "./answers.ts";
import type { LocalLambda } from "./lambda.ts";

/** The settings of a function in its account. */
export interface FunctionSettings {
  /** How often a failed asynchronous call is repeated: 0, 1 or 2. Default: as for `invokeAsync`. */
  readonly maximumRetryAttempts?: number;
  /** The aliases by which the function may be called. */
  readonly aliases?: readonly string[];
}

/** A function, as the service knows it. */
export interface Deployed {
  readonly lambda: LocalLambda;
  readonly settings: FunctionSettings;
}

/** The function that a caller means, and the alias or version in the name. */
export interface Found {
  readonly deployed: Deployed;
  readonly qualifier: string | undefined;
}

/** A name, an ARN, or the end of an ARN from the account on. An alias or a version may follow. */
const NAME =
  /^(?:(?:arn:aws:lambda:(?<region>[a-z0-9-]+):)?(?<account>\d{12}):function:)?(?<name>[\w-]{1,64})(?::(?<qualifier>\$LATEST|[\w-]+))?$/;

/** Finds a function by any of the names that Lambda's API takes. */
export function findFunction(
  functions: ReadonlyMap<string, Deployed>,
  asked: string,
  parameter: string | undefined,
): Found | Answer {
  const parts = NAME.exec(asked)?.groups;
  if (parts === undefined) {
    const message = `1 validation error detected: Value '${asked}' at 'functionName' is not a function's name or ARN.`;
    return refusal(400, "ValidationException", message);
  }
  const { region = LOCAL_ACCOUNT.region, account = LOCAL_ACCOUNT.id, name = "" } = parts;
  const qualifier = parts.qualifier ?? parameter;
  const arn = `arn:aws:lambda:${region}:${account}:function:${name}`;
  const deployed = functions.get(name);
  const known = ["$LATEST", ...(deployed?.settings.aliases ?? [])];
  if (deployed?.lambda.functionArn === arn && known.includes(qualifier ?? "$LATEST")) {
    return { deployed, qualifier };
  }
  const missing = qualifier === undefined ? arn : `${arn}:${qualifier}`;
  return refusal(404, "ResourceNotFoundException", `Function not found: ${missing}`);
}
