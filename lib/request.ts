import { MigratorError } from "./errors.ts";
import { quoted } from "./text.ts";

/** The request of a caller, in the same words for every kind of call. */
export interface Request {
  /**
   * `up` applies the pending migrations; `plan` reports the work of `up`; `status` reports the present state; `rehearse`
   * applies on a new branch of production, and touches nothing else. Default: `up`.
   */
  readonly action: "up" | "plan" | "status" | "rehearse";
  /** One transaction for all, or one per migration. Default: `auto`, one for all. */
  readonly transaction: "auto" | "all" | "each";
  /** Treatment of a pending migration that is older than the newest applied one. Default: `error`. */
  readonly outOfOrder: "error" | "apply";
  /** Treatment of a file that was changed after it was applied. Default: `warn`. */
  readonly modified: "warn" | "error";
  /** Treatment of ledger rows that the bundle does not know. Default: `warn`. */
  readonly ahead: "warn" | "error";
  /** The executor that applies. Default: `auto`. */
  readonly executor: "auto" | "drizzle" | "statements";
  /** Longest wait for another run to release the advisory lock, in ms; then `LOCKED`. Default: 60,000. */
  readonly lockTimeoutMs: number;
  /** Longest wait of a statement for a table lock, in ms, at a time; at the end `LOCK_TIMEOUT`. Default: 2,000. */
  readonly ddlLockTimeoutMs: number;
  /** Longest time for the whole run, in ms; null: as long as the function may run. Default: null. */
  readonly timeoutMs: number | null;
  /** Whether a failed run throws, or returns its report. Direct invocation only. Default: `throw`. */
  readonly onFailure: "throw" | "return";
  /**
   * `up`: whether the migrations are rehearsed before. `first`: they are applied only where that went well. `try`: also where
   * Neon's API could not be had. Default: `off`.
   */
  readonly rehearsal: "off" | "first" | "try";
  /** The most that a rehearsal may show. Default: no limit. */
  readonly rehearsalLimits: RehearsalLimits;
  /** The database, as it was sent: `readTargetReference` reads it. Default: null, the function's own. */
  readonly target: unknown;
  /** The bundle that is meant, as it was sent: `{hash}`. Default: null, whichever is there. */
  readonly expect: unknown;
}

/** The most that a rehearsal may show, in ms; null: no limit. */
export interface RehearsalLimits {
  /** For how long reads or writes of a table stand still. */
  readonly blockedMs: number | null;
  /** For how long all statements take. */
  readonly totalMs: number | null;
}

/** The facts about the sender of a request, for the history: its kind, as the log names it, and short texts by name. */
export interface CallerFacts {
  readonly source: string;
  readonly [fact: string]: string;
}

const CHOICES = {
  action: ["up", "plan", "status", "rehearse"],
  transaction: ["auto", "all", "each"],
  outOfOrder: ["error", "apply"],
  modified: ["warn", "error"],
  ahead: ["warn", "error"],
  executor: ["auto", "drizzle", "statements"],
  onFailure: ["throw", "return"],
  rehearsal: ["off", "first", "try"],
} as const;

/** The longest duration that a request may name: 24 h. */
const MAX_DURATION_MS = 86_400_000;

/** The names that make a value recognisable as a request. */
export const REQUEST_KEYS: readonly string[] = [
  ...Object.keys(CHOICES),
  "lockTimeoutMs",
  "ddlLockTimeoutMs",
  "timeoutMs",
  "rehearsalLimits",
  "target",
  "expect",
];

/**
 * Reads a request from the value that a caller sent. Unknown keys are left alone, because deployment tools add their
 * own; `refuseUnknown` refuses them where a person sent the value. A key of ours in another spelling is refused, because
 * `Action: plan` must not apply. Numbers may come as strings, because CloudFormation sends every value as a string.
 * @throws MigratorError `REQUEST_INVALID`, which names the key, its value and the allowed ones
 */
export function parseRequest(value: unknown): Request {
  if (
    value !== null &&
    value !== undefined &&
    (typeof value !== "object" || Array.isArray(value))
  ) {
    throw new MigratorError(
      "REQUEST_INVALID",
      "The request is not a JSON object. Send {} to apply what is pending.",
    );
  }
  const fields: object = value ?? {};
  refuseOtherSpellings(fields);
  return {
    action: choice(fields, "action", "up"),
    transaction: choice(fields, "transaction", "auto"),
    outOfOrder: choice(fields, "outOfOrder", "error"),
    modified: choice(fields, "modified", "warn"),
    ahead: choice(fields, "ahead", "warn"),
    executor: choice(fields, "executor", "auto"),
    lockTimeoutMs: duration(fields, "lockTimeoutMs", 0) ?? 60_000,
    ddlLockTimeoutMs: duration(fields, "ddlLockTimeoutMs", 1) ?? 2_000,
    timeoutMs: duration(fields, "timeoutMs", 1),
    onFailure: choice(fields, "onFailure", "throw"),
    rehearsal: choice(fields, "rehearsal", "off"),
    rehearsalLimits: limits(fields),
    target: own(fields, "target") ?? null,
    expect: own(fields, "expect") ?? null,
  };
}

/** Whether a request needs a branch of production. */
export function isRehearsed({ action, rehearsal }: Request): boolean {
  return action === "rehearse" || (action === "up" && rehearsal !== "off");
}

/** Returns the field that a name stands for, in any spelling; undefined for any other name. */
export function requestKey(name: string): string | undefined {
  return REQUEST_KEYS.find((key) => plainKey(key) === plainKey(name));
}

/** A name without the differences between spellings. */
export function plainKey(key: string): string {
  return key.replaceAll(/[-_]/g, "").toLowerCase();
}

function refuseOtherSpellings(fields: object): void {
  for (const sent of Object.keys(fields)) {
    const key = requestKey(sent);
    if (key === undefined || key === sent) continue;
    throw new MigratorError(
      "REQUEST_INVALID",
      `The request has ${quoted(sent)}. Write ${key} instead.`,
    );
  }
}

type Choices = typeof CHOICES;

function choice<Key extends keyof Choices>(
  fields: object,
  key: Key,
  otherwise: Choices[Key][number],
): Choices[Key][number] {
  const value = own(fields, key);
  if (value === undefined || value === null) return otherwise;
  const allowed: readonly Choices[Key][number][] = CHOICES[key];
  const found = allowed.find((each) => each === value);
  if (found === undefined) {
    throw refused(key, value, allowed.map((each) => JSON.stringify(each)).join(", "));
  }
  return found;
}

function duration(fields: object, key: string, least: number): number | null {
  const value = own(fields, key);
  if (value === undefined || value === null) return null;
  const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value;
  const whole = typeof number === "number" && Number.isInteger(number);
  if (!whole || number < least || number > MAX_DURATION_MS) {
    throw refused(key, value, `a whole number of milliseconds from ${least} to ${MAX_DURATION_MS}`);
  }
  return number;
}

function limits(fields: object): RehearsalLimits {
  const key = "rehearsalLimits";
  const value = own(fields, key) ?? {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw refused(
      "rehearsalLimits",
      value,
      `an object such as {"blockedMs":2000,"totalMs":600000}`,
    );
  }
  const unknown = Object.keys(value).find((name) => !["blockedMs", "totalMs"].includes(name));
  if (unknown !== undefined) {
    throw new MigratorError(
      "REQUEST_INVALID",
      `The request's ${key} has ${quoted(unknown)}. Its fields are blockedMs and totalMs.`,
    );
  }
  return { blockedMs: duration(value, "blockedMs", 0), totalMs: duration(value, "totalMs", 0) };
}

function own(fields: object, key: string): unknown {
  return Object.hasOwn(fields, key) ? Reflect.get(fields, key) : undefined;
}

function refused(key: string, value: unknown, allowed: string): MigratorError {
  return new MigratorError(
    "REQUEST_INVALID",
    `The request's ${key} is ${quoted(value)}. Allowed: ${allowed}.`,
  );
}
