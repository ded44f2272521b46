import { type Client, createClient } from "@neon/sdk/raw";
import { asRecord, asText } from "../json.ts";
import { backoffMs } from "../wait.ts";
import { failureOf, isUncertain, PASSING, type Refused } from "./failure.ts";
import {
  type KnownAccess,
  NEON_API_URL,
  type ProjectAccess,
  REAL_CLOCK,
} from "./project-access.ts";

/** Longest time of one attempt. */
const ATTEMPT_MS = 10_000;
/** Largest number of attempts of a call that fails without waiting for anybody else. */
const MAX_ATTEMPTS = 6;
/** Longest wait that an answer may ask for. A longer one is a failure of its own. */
const LONGEST_WAIT_MS = 60_000;

/** A client of Neon's SDK for one project, with all that an attempt needs. */
export interface Sender {
  readonly access: KnownAccess;
  /** Counts the attempts, those of a sender with another deadline included. */
  readonly calls: { count: number };
  readonly client: Client;
}

/** What every function of the SDK gets from us. */
export interface Sent {
  readonly client: Client;
  readonly signal: AbortSignal;
}

/** The part of the SDK's result that we read. */
interface Result<Data> {
  readonly data: Data | undefined;
  readonly error: unknown;
  readonly response?: Response;
}

/** What came of one attempt. */
export type Outcome<Data> = { readonly data: Data } | { readonly refused: Refused };

/** Makes the sender of a project. It calls nobody. */
export function createSender(given: ProjectAccess): Sender {
  const access = { ...given, projectId: given.projectId ?? "" };
  const client = createClient({
    baseUrl: (access.url ?? NEON_API_URL).replace(/\/+$/, ""),
    auth: () => access.key,
    // An answer that is no JSON is none.
    parseAs: "json",
    // The key is for this host alone.
    redirect: "error",
  });
  return { access, calls: { count: 0 }, client };
}

/** Returns the same sender for another project. */
export function inProject(sender: Sender, projectId: string): Sender {
  return { ...sender, access: { ...sender.access, projectId } };
}

/** Returns the same sender with another deadline, in epoch ms. */
export function until(sender: Sender, deadline: number): Sender {
  return { ...sender, access: { ...sender.access, deadline } };
}

/**
 * Makes one attempt, and rejects never.
 * @param needed the fields without which the answer is none
 */
export async function attempt<Data>(
  sender: Sender,
  needed: readonly (keyof Data & string)[],
  call: (sent: Sent) => Promise<Result<Data>>,
): Promise<Outcome<Data>> {
  const { deadline, clock = REAL_CLOCK } = sender.access;
  const leftMs = deadline - clock.now();
  if (leftMs <= 0) return { refused: refusal("the time for it is over") };
  sender.calls.count += 1;
  try {
    const signal = AbortSignal.timeout(Math.ceil(Math.min(ATTEMPT_MS, leftMs)));
    const { data, error, response } = await call({ client: sender.client, signal });
    // An answer that breaks off comes as an error with a good status.
    if (error !== undefined || data === undefined) return { refused: readRefusal(error, response) };
    const missing = needed.find((name) => !(name in Object(data)));
    if (missing === undefined) return { data };
    return { refused: refusal(`an answer without ${missing}`) };
  } catch (thrown) {
    return { refused: refusal(thrown instanceof Error ? thrown.message : String(thrown)) };
  }
}

/**
 * Makes a call that may be repeated, whatever came of it, until it succeeds.
 * @param what completes "Neon's API could not …"
 * @param needed the fields without which the answer is none
 * @throws MigratorError with the code of the access
 */
export async function repeat<Data>(
  sender: Sender,
  what: string,
  needed: readonly (keyof Data & string)[],
  call: (sent: Sent) => Promise<Result<Data>>,
): Promise<Data> {
  for (let tries = 1; ; tries += 1) {
    const outcome = await attempt(sender, needed, call);
    if ("data" in outcome) return outcome.data;
    await waitOrFail(sender, what, outcome.refused, tries);
  }
}

/**
 * Waits as long as a refusal asks for, or as is usual after so many attempts.
 * @throws MigratorError where waiting does not help, or its time is over
 */
export async function waitOrFail(
  { access }: Sender,
  what: string,
  refused: Refused,
  tries: number,
): Promise<void> {
  const { deadline, clock = REAL_CLOCK } = access;
  const mayPass = isUncertain(refused) || PASSING.includes(refused.status ?? 0);
  // Another operation of the project may take minutes. Only the deadline ends that wait.
  const isOver = refused.status !== 423 && tries >= MAX_ATTEMPTS;
  const waitMs = refused.retryAfterMs ?? backoffMs(tries + 1);
  const isTooLong = waitMs > LONGEST_WAIT_MS || clock.now() + waitMs >= deadline;
  if (!mayPass || isOver || isTooLong) throw failureOf(access, what, refused);
  await clock.pause(waitMs);
}

function readRefusal(error: unknown, response: Response | undefined): Refused {
  const { message, reason, code } = asRecord(Object(error));
  return {
    status: response?.status ?? null,
    code: asText(code),
    message: asText(reason) || asText(message),
    retryAfterMs: retryAfterMs(response?.headers.get("retry-after") ?? null),
  };
}

function refusal(message: string): Refused {
  return { status: null, code: "", message, retryAfterMs: null };
}

/** `Retry-After` is a number of seconds or a date (RFC 9110, section 10.2.3). */
function retryAfterMs(header: string | null): number | null {
  if (header === null || header.trim() === "") return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(seconds * 1_000, 0);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(at - Date.now(), 0);
}
