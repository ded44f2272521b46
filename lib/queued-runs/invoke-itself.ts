import { CALLBACK_CLIENT } from "../aws-client.ts";
import { MigratorError, toError } from "../errors.ts";
import type { RunEvent } from "./run-event.ts";

/** The errors of AWS that pass by themselves. */
const PASSING = /^(TooManyRequests|ServiceException)|Throttl|Timeout|Abort|ECONN/;

/**
 * Puts the event into the function's own queue.
 * @param functionArn as the function was invoked: with its alias, where it has one
 * @throws MigratorError `RUN_NOT_STARTED`
 */
export async function invokeItself(
  functionArn: string,
  event: RunEvent,
  abortSignal: AbortSignal,
): Promise<void> {
  try {
    const { InvokeCommand, LambdaClient } = await import("@aws-sdk/client-lambda");
    const command = new InvokeCommand({
      FunctionName: functionArn,
      InvocationType: "Event",
      Payload: Buffer.from(JSON.stringify(event)),
    });
    // One attempt, because a second one could run it twice.
    const client = new LambdaClient({ ...CALLBACK_CLIENT, maxAttempts: 1 });
    await client.send(command, { abortSignal });
  } catch (thrown) {
    throw notStarted(functionArn, thrown);
  }
}

function notStarted(functionArn: string, thrown: unknown): MigratorError {
  const { name, message } = toError(thrown);
  const wayOut =
    name === "AccessDeniedException"
      ? `Allow the function's role lambda:InvokeFunction on ${functionArn}.`
      : "Send it again, or without Prefer: respond-async.";
  return new MigratorError(
    "RUN_NOT_STARTED",
    `Lambda did not take the run into the function's queue, and nothing was run: ${name}: ${message}. ${wayOut}`,
    { cause: thrown, retryable: PASSING.test(name) },
  );
}
