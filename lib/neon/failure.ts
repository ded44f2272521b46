import { MigratorError } from "../errors.ts";
import { REDACTED, shortened } from "../text.ts";
import type { KnownAccess } from "./project-access.ts";

/** What came of one attempt that did not succeed. */
export interface Refused {
  /** The answer's status; null where no whole answer came. */
  readonly status: number | null;
  /** Neon's own code, such as `BRANCHES_LIMIT_EXCEEDED`; empty without one. */
  readonly code: string;
  /** Neon's own words, or those of the network. */
  readonly message: string;
  /** The wait that the answer asks for, in ms; null without one. */
  readonly retryAfterMs: number | null;
}

/** Largest number of characters that we quote of Neon's words. */
const MAX_QUOTED = 300;

const FULL = "BRANCHES_LIMIT_EXCEEDED";

/**
 * Statuses with which Neon did nothing, and that may pass by themselves: another operation of the project runs, too many
 * calls, the API is away (OpenAPI document, "GeneralError"). No name of ours can be taken: each has a random part.
 */
export const PASSING: readonly number[] = [409, 423, 429, 503];

/**
 * Whether the call may have been carried out although its answer did not come, or said something else. A 5xx beside 503 says
 * nothing about it, either.
 */
export function isUncertain({ status }: Refused): boolean {
  return status === null || status < 400 || (status >= 500 && status !== 503);
}

/** Makes the failure of a call. Neither message nor cause holds the key. */
export function failureOf(access: KnownAccess, what: string, refused: Refused): MigratorError {
  const { status } = refused;
  const retryable = isUncertain(refused) || PASSING.includes(status ?? 0);
  const said = status === null ? `no answer: ${refused.message}` : `${status} ${refused.message}`;
  const reason = withoutKey(access, shortened(said.trim(), MAX_QUOTED)).replace(/\.$/, "");
  return new MigratorError(
    access.code,
    `Neon's API could not ${what} (${reason}). ${wayOut(access, refused)}`,
    { retryable },
  );
}

/** Makes a failure that no call had. */
export function unavailable(
  access: KnownAccess,
  message: string,
  retryable = false,
): MigratorError {
  return new MigratorError(access.code, withoutKey(access, message), { retryable });
}

function wayOut({ projectId }: KnownAccess, { status, code }: Refused): string {
  if (status === 401 || (status === 403 && projectId !== "")) {
    return "Look at the API key: was it revoked, and may it use this project? Make another in Neon's console.";
  }
  if (projectId === "" && status !== null && status < 500 && !PASSING.includes(status)) {
    return "Nothing says which project it is. Set NEON_PROJECT_ID (in the construct: rehearsal.projectId): then no list is needed.";
  }
  if (status === 404) {
    return `Look at NEON_PROJECT_ID, which is ${projectId}: the key must be allowed to use this project.`;
  }
  if (code === FULL) return "Delete branches that nobody needs, or raise the limit of the plan.";
  if (status === 409 || status === 423)
    return "Another operation of the project runs. Try again when it is over.";
  if (status === 429) return "Too many calls were made in a short time. Try again in a minute.";
  if (status === null) return "Look at the way from here to Neon's API, and try again.";
  return status >= 500 ? "Try again later; neonstatus.com says whether Neon has a problem." : "";
}

function withoutKey({ key }: KnownAccess, text: string): string {
  return text.replaceAll(key, REDACTED).trim();
}
