import type { InvocationContext } from "../../lib/events/caller.ts";
import { LOCAL_FUNCTION_ARN } from "../../local/aws/account.ts";

/** The longest time that Lambda lets a function run. */
const LONGEST_MS = 900_000;

/**
 * Makes Lambda's context of one call.
 * @param remainingMs how long the call may go on. Default: Lambda's longest time
 */
export function lambdaContext(remainingMs: number = LONGEST_MS): InvocationContext {
  return {
    awsRequestId: "request",
    invokedFunctionArn: LOCAL_FUNCTION_ARN,
    getRemainingTimeInMillis: () => remainingMs,
  };
}
