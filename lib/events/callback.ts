import { MigratorError, toError } from "../errors.ts";

/** How often an answer is sent at most, and how long one attempt may take. */
const MAX_ATTEMPTS = 5;
const ATTEMPT_TIMEOUT_MS = 5_000;

/**
 * The settings of an AWS client that sends one answer. Endpoint, region and credentials are the environment's. Without
 * `throwOnRequestTimeout` the SDK goes on waiting, and only writes a warning.
 */
export const CALLBACK_CLIENT: {
  readonly maxAttempts: number;
  readonly requestHandler: Readonly<Record<"connectionTimeout" | "requestTimeout", number>> & {
    readonly throwOnRequestTimeout: boolean;
  };
} = {
  maxAttempts: MAX_ATTEMPTS,
  requestHandler: {
    connectionTimeout: 2_000,
    requestTimeout: ATTEMPT_TIMEOUT_MS,
    throwOnRequestTimeout: true,
  },
};

/**
 * Sends the one answer that a service waits for.
 * @param send makes the call; it must end when the signal comes
 * @param settled names of AWS' errors that say the service has its answer already: an event that was
 *   delivered twice, or an action that was stopped. There is nothing left to tell, and nothing went wrong
 * @throws MigratorError `INTERNAL`, so that Lambda counts an error and delivers the event again
 */
export async function callBack(
  service: string,
  send: (abortSignal: AbortSignal) => Promise<unknown>,
  { deadline, settled }: { readonly deadline: number; readonly settled: readonly string[] },
): Promise<{ readonly answered: boolean }> {
  try {
    await send(AbortSignal.timeout(Math.max(deadline - Date.now(), 100)));
    return { answered: true };
  } catch (thrown) {
    const { name, message } = toError(thrown);
    if (settled.includes(name)) return { answered: false };
    throw new MigratorError("INTERNAL", `${service} could not be answered: ${name}: ${message}`);
  }
}
