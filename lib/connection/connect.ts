/*
 * The connection: one session with one server over a WebSocket. A target comes in, and an open session goes out, with the
 * answers to the questions that went out with its login. A failed login becomes an error that says what it really was.
 * Nothing here knows what a migration, a ledger or a lock is.
 */

import { MigratorError } from "../errors.ts";
import type { Log } from "../log.ts";
import { type Endpoint, parseEndpoint } from "../target/endpoint.ts";
import type { Target } from "../target/target.ts";
import { pause } from "../wait.ts";
import type { Connection, SessionOptions, Whereabouts } from "./connection.ts";
import { connectDeadline, connectTimeout, refusesPipelinedLogin } from "./errors.ts";
import type { Attempts } from "./refusal.ts";
import { openSession } from "./session.ts";

/** The needs of a connection beside the target. */
export interface ConnectOptions<Asked extends string = never> {
  readonly requestId: string;
  /** Epoch ms after which nobody tries any more. */
  readonly deadline: number;
  readonly log: Log;
  /** See `SessionOptions`. */
  readonly opening: SessionOptions<Asked>["opening"];
  /** See `SessionOptions`. */
  readonly onTurn?: (place: Whereabouts | null) => void;
}

/**
 * Opens a session. Repeats an attempt whose failure may pass, with backoff and jitter, until the target's connect timeout
 * or the deadline: a sleeping compute takes seconds to wake.
 * @throws MigratorError `UNREACHABLE`, `CONNECT_TIMEOUT`, `LOGIN_FAILED`, `DATABASE_NOT_FOUND`,
 *   `ENDPOINT_UNAVAILABLE`, `DATABASE_URL_INVALID`, `DEADLINE`
 */
export async function connect<Asked extends string>(
  target: Target,
  options: ConnectOptions<Asked>,
): Promise<Connection<Asked>> {
  const endpoint = parseEndpoint(target.url);
  const started = Date.now();
  const until = Math.min(started + target.connectTimeoutMs, options.deadline);
  const outOfTime = (error: MigratorError) =>
    error.code === "CONNECT_TIMEOUT" && until === options.deadline
      ? connectDeadline(error, endpoint.host)
      : error;
  let attempts: Attempts | null = null;
  for (let last: MigratorError | null = null; ; ) {
    const timeoutMs = until - Date.now();
    if (timeoutMs <= 0) {
      throw outOfTime(last ?? connectTimeout(endpoint.host, Date.now() - started, null));
    }
    const outcome = await attemptOnce(endpoint, target, { ...options, until });
    if (!(outcome instanceof MigratorError)) return outcome;
    last = withEarlier(outcome, last, endpoint.host, Date.now() - started);
    const { Attempts: Counted, brieflyOf } = await import("./refusal.ts");
    attempts ??= new Counted(target.goneAfterMs);
    const pauseMs = attempts.pauseMs(last, until - Date.now());
    if (pauseMs === null) throw outOfTime(last);
    options.log("connect.retry", {
      attempt: attempts.count,
      code: last.code,
      reason: brieflyOf(last),
    });
    await pause(pauseMs);
  }
}

/**
 * Sends the password ahead, as Neon's proxy allows: that saves two round trips. Where a server wants to ask for it first
 * (SCRAM on a plain PostgreSQL), logs in the slow way. Both ways share the time.
 */
async function attemptOnce<Asked extends string>(
  endpoint: Endpoint,
  target: Target,
  { until, ...options }: ConnectOptions<Asked> & { readonly until: number },
): Promise<Connection<Asked> | MigratorError> {
  const ways = endpoint.password === null ? [false] : [true, false];
  let last: unknown = null;
  for (const pipelined of ways) {
    try {
      const timeoutMs = Math.max(until - Date.now(), 0);
      return await openSession(endpoint, target, { ...options, timeoutMs, pipelined });
    } catch (thrown) {
      if (isBug(thrown)) throw thrown;
      last = thrown;
      if (!refusesPipelinedLogin(thrown)) break;
    }
  }
  if (last instanceof MigratorError) return last;
  const { connectError } = await import("./refusal.ts");
  return connectError(last, endpoint.host, target.relay !== null);
}

/** Returns the error that says more: a last attempt of a few ms hears nothing, and an earlier one was told why. */
function withEarlier(
  outcome: MigratorError,
  earlier: MigratorError | null,
  host: string,
  waitedMs: number,
): MigratorError {
  const isSilence = outcome.code === "CONNECT_TIMEOUT" && earlier !== null;
  return isSilence ? connectTimeout(host, waitedMs, earlier) : outcome;
}

/** Whether the program is wrong: that must not be reported as trouble with the network. */
function isBug(thrown: unknown): boolean {
  return (
    thrown instanceof TypeError || thrown instanceof RangeError || thrown instanceof ReferenceError
  );
}
