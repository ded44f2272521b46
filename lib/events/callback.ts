import { MigratorError, toError } from "../errors.ts";
import type { Log } from "../log.ts";
import { afterWaiting, grantAdvice, isDenied, reasonOf, withRights } from "../rights.ts";

/** The terms of an answer. */
export interface CallbackOptions {
  /** Epoch ms by which the answer must have left. */
  readonly deadline: number;
  readonly log: Log;
  /** The actions of IAM that the answers need. */
  readonly rights: string;
  /**
   * The names of AWS' errors that say the service has its answer already: an event that was delivered twice, or an action
   * that was stopped. Then nothing is left to tell, and nothing went wrong.
   */
  readonly settled: readonly string[];
}

/**
 * Sends the one answer that a service waits for. While the right to send it is denied, it is tried again.
 * @param send makes the call; it must end when the signal comes
 * @throws MigratorError `INTERNAL`, so that Lambda counts an error and delivers the event again
 */
export async function callBack(
  service: string,
  send: (abortSignal: AbortSignal) => Promise<unknown>,
  { deadline, log, rights, settled }: CallbackOptions,
): Promise<{ readonly answered: boolean }> {
  try {
    const attempt = () => send(AbortSignal.timeout(Math.max(deadline - Date.now(), 100)));
    await withRights(rights, attempt, { until: deadline, log });
    return { answered: true };
  } catch (thrown) {
    if (settled.includes(toError(thrown).name)) return { answered: false };
    const wayOut = isDenied(thrown) ? `. ${grantAdvice(rights)}` : "";
    throw new MigratorError(
      "INTERNAL",
      `${service} could not be answered${afterWaiting(thrown)}: ${reasonOf(thrown).replace(/\.$/, "")}${wayOut}`,
    );
  }
}
