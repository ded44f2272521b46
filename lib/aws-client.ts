/** Largest number of attempts to send an answer, and the longest time of each, in ms. */
const MAX_ATTEMPTS = 5;
const ATTEMPT_TIMEOUT_MS = 5_000;

/**
 * The settings of an AWS client that sends one answer. Endpoint, region and credentials come from the environment.
 * Without `throwOnRequestTimeout` the SDK goes on waiting, and only writes a warning.
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
