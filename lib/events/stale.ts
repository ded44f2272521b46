import { MigratorError } from "../errors.ts";
import { asRecord, asText } from "../json.ts";
import type { Request } from "../request.ts";
import type { BundleHashes, InvocationContext } from "./caller.ts";
import type { Continuation } from "./continuation.ts";
import { PAUSES_S } from "./redelivery.ts";

type Event = Readonly<Record<string, unknown>>;

const [PAUSE_S = 0] = PAUSES_S;

/** An event of this age has certainly not been delivered before: Lambda pauses longer. */
const FIRST_UNTIL_S = 0.75 * PAUSE_S;

/** Two clocks of AWS may differ by so much. */
const SKEW_S = 5;

/** For so long after its signature a URL of version 2 is valid; it does not say when it was signed. */
const VALIDITY_S = 7_200;

/** Such a `ServiceTimeout` leaves room for a second delivery; the construct's without one leaves a minute. */
const ROOM_S = 1.5 * PAUSE_S;

/** So long before CloudFormation gives an event up the run of it ends, so that its answer still counts. */
const ANSWER_MARGIN_S = 60;

/** An event of CloudFormation that this function cannot serve now. */
export interface Stale {
  readonly error: MigratorError;
  /** Everything is left, where another delivery may reach the function's new code. */
  readonly next: Continuation | null;
}

/** The request that this process has left to another delivery. */
let left = "";

/**
 * Says what to do where a deployment names another bundle than ours. One that goes back from ours to one that ours begins
 * with takes our last migrations back: a rollback may reach this code before the older code is there again. Any other is
 * not for this code: to apply ours, and to call that a success, would be a lie.
 * @param direct whether CloudFormation called us by Lambda's queue, with nobody in between
 */
export function readOther(
  event: Event,
  context: InvocationContext,
  { whole, heads }: BundleHashes,
  direct: boolean,
): "taken back" | Stale {
  const from = hashIn(event.OldResourceProperties);
  const to = hashIn(event.ResourceProperties);
  if (event.RequestType === "Update" && from === whole && heads().includes(to)) return "taken back";
  const again = direct && isDeliveredAgain(event, context);
  return {
    error: staleBundle(whole, to, again),
    next: again ? { since: Date.now(), applied: 0, done: 0 } : null,
  };
}

function hashIn(properties: unknown): string {
  return asText(asRecord(properties).MigrationsHash);
}

/**
 * Whether Lambda will deliver an event of CloudFormation again if this call fails: a minute later, when the function's
 * new code is in force. Lambda tells nobody which delivery this is, so we go by what can be seen, and where that is not
 * certain it is the last one: an answer that says why is better than none. It is not the last where the event's URL was
 * signed just now, where this process has not left it to another delivery before, and where CloudFormation waits long
 * enough for one: a template that asks Lambda for no second delivery has no reason to, nor one that does not say how long.
 */
export function isDeliveredAgain(
  event: Event,
  { getRemainingTimeInMillis }: InvocationContext,
): boolean {
  const request = asText(event.RequestId);
  const age = ageOf(asText(event.ResponseURL));
  const { ServiceTimeout } = asRecord(event.ResourceProperties);
  const patience = Number(ServiceTimeout);
  if (request === left || age === null || age < -SKEW_S || age > FIRST_UNTIL_S) return false;
  if (!(patience >= age + ROOM_S + getRemainingTimeInMillis() / 1_000)) return false;
  left = request;
  return true;
}

/**
 * Shortens the run of an event that was delivered late: it must not go on behind the rollback. Where the event does not say
 * how old it is, or for how long CloudFormation waits, the run stays as it is.
 * @throws MigratorError `DEADLINE` where CloudFormation waits no longer
 */
export function withinService(
  event: Event,
  request: Request,
  { getRemainingTimeInMillis }: InvocationContext,
): Request {
  const age = ageOf(asText(event.ResponseURL));
  const patience = Number(asRecord(event.ResourceProperties).ServiceTimeout);
  if (age === null || Number.isNaN(age) || !(patience > 0)) return request;
  const margin = Math.min(ANSWER_MARGIN_S, patience / 4);
  const leftMs = Math.floor((patience - Math.max(age, 0) - margin) * 1_000);
  if (leftMs <= 0) throw tooLate(age, patience);
  const { timeoutMs } = request;
  return leftMs < (timeoutMs ?? getRemainingTimeInMillis())
    ? { ...request, timeoutMs: leftMs }
    : request;
}

function tooLate(age: number, patience: number): MigratorError {
  return new MigratorError(
    "DEADLINE",
    `Lambda delivered the request ${Math.round(age)} s after CloudFormation sent it, and CloudFormation waits for ${patience} s in all (ServiceTimeout). Nothing was run, because it could go on behind the rollback. Deploy again.`,
  );
}

/** Returns for how many seconds a presigned URL has been signed; null where it does not say. */
function ageOf(url: string): number | null {
  if (!URL.canParse(url)) return null;
  const { searchParams } = new URL(url);
  const expires = searchParams.get("Expires");
  if (expires !== null) return Date.now() / 1_000 - (Number(expires) - VALIDITY_S);
  const [, date, hour, minute, second] =
    /^(\d{8})T(\d\d)(\d\d)(\d\d)Z$/.exec(searchParams.get("X-Amz-Date") ?? "") ?? [];
  if (date === undefined) return null;
  const day = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`;
  return (Date.now() - Date.parse(`${day}T${hour}:${minute}:${second}Z`)) / 1_000;
}

/** Makes the error of a function whose migrations are not those that its caller names. */
export function staleBundle(ours: string, named: string, again = false): MigratorError {
  const differ = `The function holds other migrations (${ours.slice(0, 12)}) than its caller names by their hash (${named.slice(0, 12)}). Nothing was run.`;
  const wayOut = again
    ? "Its new code may not be in force yet, so Lambda is to deliver the request again in a minute."
    : "Where the function's new code was not in force yet, deploy again. Otherwise the hash must be that in the bundle.json of the asset that is deployed.";
  return new MigratorError("BUNDLE_STALE", `${differ} ${wayOut}`, { retryable: again });
}
