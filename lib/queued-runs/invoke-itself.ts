import { CALLBACK_CLIENT } from "../aws-client.ts";
import { MigratorError, toError } from "../errors.ts";
import {
  afterWaiting,
  grantAdvice,
  isDenied,
  type Patience,
  reasonOf,
  withRights,
} from "../rights.ts";
import type { RunEvent } from "./run-event.ts";

/** The errors of AWS that pass by themselves. */
const PASSING = /^(TooManyRequests|ServiceException)|Throttl|Timeout|Abort|ECONN/;

/**
 * Puts the event into the function's own queue. While the right to do so is denied, it is tried again: an event that was
 * refused runs nothing.
 * @param functionArn as the function was invoked: with its alias, where it has one
 * @throws MigratorError `RUN_NOT_STARTED`
 */
export async function invokeItself(
  functionArn: string,
  event: RunEvent,
  patience: Patience,
): Promise<void> {
  try {
    const { InvokeCommand, LambdaClient } = await import("@aws-sdk/client-lambda");
    const command = new InvokeCommand({
      FunctionName: functionArn,
      InvocationType: "Event",
      Payload: Buffer.from(JSON.stringify(event)),
    });
    const invoke = () => {
      const abortSignal = AbortSignal.timeout(Math.max(patience.until - Date.now(), 1));
      // One attempt, because a second one could run it twice.
      return new LambdaClient({ ...CALLBACK_CLIENT, maxAttempts: 1 }).send(command, {
        abortSignal,
      });
    };
    await withRights(rightTo(functionArn), invoke, patience);
  } catch (thrown) {
    throw notStarted(functionArn, thrown);
  }
}

function rightTo(functionArn: string): string {
  return `lambda:InvokeFunction on ${functionArn}`;
}

function notStarted(functionArn: string, thrown: unknown): MigratorError {
  const wayOut = isDenied(thrown)
    ? grantAdvice(rightTo(functionArn))
    : "Send it again, or without Prefer: respond-async.";
  const waited = afterWaiting(thrown);
  return new MigratorError(
    "RUN_NOT_STARTED",
    `Lambda did not take the run into the function's queue${waited}, and nothing was run: ${reasonOf(thrown).replace(/\.$/, "")}. ${wayOut}`,
    { cause: thrown, retryable: PASSING.test(toError(thrown).name) },
  );
}
