/** The moments of a call by which something must have happened, in their order. All in epoch ms. */
export interface Moments {
  /** We ask the server to cancel the statement that runs. */
  readonly deadline: number;
  /** We drop the connection, if that has not helped. */
  readonly dropBy: number;
  /** We make the report, whether the run has stopped or not. */
  readonly reportBy: number;
  /** The answer has left. */
  readonly answerBy: number;
}

/**
 * Returns the moments of a call that has so much time from now on. Each moment keeps time back for the steps behind it: a
 * number of seconds, but no more than a share of the call's time.
 *
 * | moment   | keeps back | at most | for                                                                             |
 * | -------- | ---------- | ------- | ------------------------------------------------------------------------------- |
 * | deadline | 10 s       | 33 %    | cancelling, on a second session, which a small function needs seconds to open   |
 * | dropBy   | 7 s        | 23 %    | the end of the run without its connection                                       |
 * | reportBy | 5 s        | 16 %    | the answer to a service that waits for a call of its own, with a few attempts   |
 * | answerBy | 0.5 s      | 10 %    | Lambda, which takes the answer before it ends the function                      |
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
