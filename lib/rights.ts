import { toError } from "./errors.ts";
import type { Log } from "./log.ts";
import { pause } from "./wait.ts";

/**
 * The longest wait for a right. A policy that AWS has accepted is known everywhere after 7 to 12 s, as a rule
 * (go-to-k/cdkd#2062, aws/aws-cdk#37675).
 */
const PATIENCE_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 16_000;
/** An attempt that begins later would be cut off before AWS has answered it. A short time is halved. */
const LAST_ATTEMPT_MS = 1_000;

/** An attempt that was cut off. What it would have said is what AWS said before. */
const CUT_OFF = /Abort|Timeout/i;

/** AWS' names for a right that is missing, and for credentials that are so new that not every host knows them. */
const NAMES =
  /AccessDenied|AuthorizationError|NotAuthorized|Unauthorized|UnrecognizedClient|InvalidClientTokenId/i;

/**
 * The same in words. A service that asks KMS on our behalf may wrap the refusal into an error of its own; one that says
 * that the key may also not exist is believed for the time of the wait.
 */
const WORDS = /not authorized to perform|access to KMS is not allowed|not allowed to access/i;

/** The limits of a wait for a right. */
export interface Patience {
  /** Epoch ms after which nobody tries any more. A moment that has passed already means one attempt. */
  readonly until: number;
  readonly log: Log;
}

/** The time, so that a test need not wait. */
export interface Clock {
  now(): number;
  pause(ms: number): Promise<void>;
}

/** A right that is still missing after the wait. Name and message are those of AWS. */
export class StillDenied extends Error {
  readonly waitedMs: number;

  constructor(cause: Error, waitedMs: number) {
    super(cause.message, { cause });
    this.name = cause.name;
    this.waitedMs = waitedMs;
  }
}

/** Whether AWS says that a right is missing. Any other error stays as it is, however often somebody asks. */
export function isDenied(thrown: unknown): boolean {
  const { name, message, cause } = toError(thrown);
  return NAMES.test(name) || WORDS.test(message) || (cause instanceof Error && isDenied(cause));
}

/**
 * Calls AWS, and again while the right to do so is denied: a grant that is seconds old is not known everywhere. The pauses
 * double from 1 s to 16 s, each shortened at random by a quarter at most. The log says once what is waited for.
 * @param denied what needs the right, for the log
 * @param call makes one attempt, with a client of its own: that reads the credentials anew
 * @throws StillDenied where the right is still missing at the end; any other error at once
 */
export async function withRights<Result>(
  denied: string,
  call: () => Promise<Result>,
  { until, log }: Patience,
  clock: Clock = { now: Date.now, pause },
): Promise<Result> {
  const begun = clock.now();
  const end = Math.min(until - Math.min(LAST_ATTEMPT_MS, (until - begun) / 2), begun + PATIENCE_MS);
  let last: Error | null = null;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await attemptOnce(call);
    const waitedMs = attempt === 1 ? 0 : clock.now() - begun;
    if ("result" in outcome) {
      if (attempt > 1) log("rights.granted", { denied, afterMs: waitedMs });
      return outcome.result;
    }
    const leftMs = end - clock.now();
    const refusal = refusalIn(outcome.thrown, last, leftMs);
    if (leftMs <= 0) throw new StillDenied(refusal, waitedMs);
    if (attempt === 1)
      log("rights.denied", { denied, reason: reasonOf(refusal), tryForMs: leftMs });
    last = refusal;
    await clock.pause(Math.min(pauseMs(attempt), leftMs));
  }
}

async function attemptOnce<Result>(
  call: () => Promise<Result>,
): Promise<{ readonly result: Result } | { readonly thrown: unknown }> {
  try {
    return { result: await call() };
  } catch (thrown) {
    return { thrown };
  }
}

/** Returns AWS' refusal; for an attempt that the end has cut off, the one before it. Throws any other error. */
function refusalIn(thrown: unknown, before: Error | null, leftMs: number): Error {
  if (isDenied(thrown)) return toError(thrown);
  if (leftMs <= 0 && before !== null && CUT_OFF.test(toError(thrown).name)) return before;
  throw thrown;
}

function pauseMs(attempt: number): number {
  const full = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS);
  return full * (1 - Math.random() / 4);
}

/** AWS' own words for an error. */
export function reasonOf(thrown: unknown): string {
  const { name, message } = toError(thrown);
  return `${name}: ${message}`;
}

/** Tells how long a right was waited for, in words that follow a verb; nothing where nobody waited. */
export function afterWaiting(thrown: unknown): string {
  if (!(thrown instanceof StillDenied) || thrown.waitedMs === 0) return "";
  return ` after ${Math.max(Math.round(thrown.waitedMs / 1_000), 1)} s`;
}

/**
 * Says what to grant. An old session is the other explanation: Lambda gives a process its credentials once.
 * @param rights the actions and their resources
 */
export function grantAdvice(rights: string): string {
  return `Allow the function's role ${rights}. If it has the right already, a policy with an explicit deny takes it away, or this process still has credentials from before: change a setting of the function, so that Lambda starts it anew.`;
}
