import type { InvocationContext } from "../../lib/events/caller.ts";
import { LOCAL_FUNCTION_ARN } from "../../local/aws/account.ts";

/** Lambda lets no function run longer. */
const LONGEST_MS = 900_000;

/**
 * What Lambda tells a function about one call.
 * @param remainingMs how long the call may go on. Default: as long as Lambda lets a function run
 */
export function lambdaContext(remainingMs: number = LONGEST_MS): InvocationContext {
  return {
    awsRequestId: "request",
    invokedFunctionArn: LOCAL_FUNCTION_ARN,
    getRemainingTimeInMillis: () => remainingMs,
  };
}
