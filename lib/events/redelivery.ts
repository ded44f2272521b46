/**
 * How often a deployed function gets an event again whose call ended with an error. An answered failure is no error of the
 * call, so this is about processes that died, hung until Lambda ended them, or could not send their answer.
 */
export const RETRY_ATTEMPTS = 1;

/** Lambda's pauses before the second and the third delivery of an event, in seconds. */
export const PAUSES_S: readonly number[] = [60, 120];

/** The longest time for which CloudFormation waits for an answer. */
export const MAX_SERVICE_TIMEOUT_S = 3_600;

/** CloudFormation waits so much longer than all deliveries take. */
const MARGIN_S = 60;

/** Returns the `ServiceTimeout` in seconds for a function that may run for so long: there is room for each delivery. */
export function serviceTimeoutOf(timeoutS: number, retryAttempts: number = RETRY_ATTEMPTS): number {
  const pauses = PAUSES_S.slice(0, retryAttempts).reduce((sum, pause) => sum + pause, 0);
  const whole = timeoutS * (1 + retryAttempts) + pauses + MARGIN_S;
  return Math.min(whole, MAX_SERVICE_TIMEOUT_S);
}

/**
 * Returns the longest time in seconds that an event may be old when a delivery begins. A later one could end when
 * CloudFormation waits for it no longer. Lambda takes no less than a minute.
 */
export function eventAgeOf(timeoutS: number, retryAttempts: number = RETRY_ATTEMPTS): number {
  return Math.max(serviceTimeoutOf(timeoutS, retryAttempts) - timeoutS, 60);
}
