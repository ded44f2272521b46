import { MigratorError, toError } from "../errors.ts";

/**
 * Sends the one answer that a service waits for.
 * @param send makes the call; it must end when the signal comes
 * @param settled names of AWS' errors that say the service has its answer already: an event that was
 *   delivered twice, or an action that was stopped. Then nothing is left to tell, and nothing went wrong
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
