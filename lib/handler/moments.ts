/** The moments of a call by which something must have happened, in their order. All in epoch ms. */
export interface Moments {
  /** The server is asked to cancel what runs. */
  readonly deadline: number;
  /** Where that has not helped, the connection is dropped. */
  readonly dropBy: number;
  /** The report is made, whether the run has stopped or not. */
  readonly reportBy: number;
  /** The answer has left. */
  readonly answerBy: number;
}

/**
 * The moments of a call that has so much time from now on. Each keeps time back behind it: in ms at the most, or as a share
 * of the call's time. Between the first two a second session is opened, which takes a small function seconds; behind
 * the third a service may have to be told.
 */
export function momentsOf(now: number, remainingMs: number): Moments {
  const keeping = (mostMs: number, share: number) =>
    Math.floor(now + remainingMs - Math.min(mostMs, remainingMs * share));
  return {
    deadline: keeping(10_000, 0.33),
    dropBy: keeping(7_000, 0.23),
    reportBy: keeping(5_000, 0.16),
    answerBy: keeping(500, 0.1),
  };
}
