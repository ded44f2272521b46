import type { LocalLambda } from "../lambda/lambda.ts";
import type { Invoke } from "./world.ts";

/** A refusal of Lambda's own, as an SDK throws it. */
export class LambdaRefusal extends Error {
  readonly $metadata: { readonly httpStatusCode: number };

  /** @param type the name of the error: `TooManyRequestsException`, `ServiceException` */
  constructor(type: string, message: string, status: number) {
    super(message);
    this.name = type;
    this.$metadata = { httpStatusCode: status };
  }
}

/** What the functions of an account may do. */
export interface FunctionLimits {
  /** The most calls at a time; one more is refused with `TooManyRequestsException`. Default: Lambda's 1,000. */
  readonly concurrency?: number;
}

/**
 * Makes a way to call local functions, each by its ARN. A version or an alias at the end of a name goes to the function with
 * that whole name, or else to the one without.
 */
export function invokeLocally(
  functions: readonly LocalLambda[] | ReadonlyMap<string, LocalLambda>,
  { concurrency = 1_000 }: FunctionLimits = {},
): Invoke {
  let running = 0;
  return async (functionName, payload) => {
    const { lambda, qualifier } = find(functions, functionName);
    if (running >= concurrency) {
      throw new LambdaRefusal("TooManyRequestsException", "Rate Exceeded.", 429);
    }
    running += 1;
    try {
      return await lambda.invoke(payload, qualifier === undefined ? {} : { qualifier });
    } finally {
      running -= 1;
    }
  };
}

function find(
  functions: readonly LocalLambda[] | ReadonlyMap<string, LocalLambda>,
  functionName: string,
): { readonly lambda: LocalLambda; readonly qualifier: string | undefined } {
  const parts = functionName.split(":");
  const qualifier = parts[7];
  const plain = parts.slice(0, 7).join(":");
  const lambda =
    functions instanceof Map
      ? (functions.get(functionName) ?? functions.get(plain))
      : [...functions.values()].find((each) => [functionName, plain].includes(each.functionArn));
  if (lambda !== undefined) return { lambda, qualifier };
  const words = `Function not found: ${functionName}`;
  throw new LambdaRefusal("ResourceNotFoundException", words, 404);
}
