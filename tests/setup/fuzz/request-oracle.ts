import type { Request } from "../../../lib/request.ts";

/** A request with every field, each with another value than its default. */
export const REQUEST: Request = {
  action: "plan",
  transaction: "each",
  outOfOrder: "apply",
  modified: "error",
  ahead: "error",
  executor: "statements",
  lockTimeoutMs: 5_000,
  ddlLockTimeoutMs: 1_000,
  timeoutMs: 30_000,
  onFailure: "return",
  rehearsal: "first",
  rehearsalLimits: { blockedMs: 2_000, totalMs: null },
  target: { id: "acme", parameter: "/tenants/acme/url" },
  expect: { hash: "5f2b" },
};

const DEFAULTS: Readonly<Record<keyof Request, unknown>> = {
  action: "up",
  transaction: "auto",
  outOfOrder: "error",
  modified: "warn",
  ahead: "warn",
  executor: "auto",
  lockTimeoutMs: 60_000,
  ddlLockTimeoutMs: 2_000,
  timeoutMs: null,
  onFailure: "throw",
  rehearsal: "off",
  rehearsalLimits: { blockedMs: null, totalMs: null },
  target: null,
  expect: null,
};

const ALLOWED: Readonly<Record<string, readonly unknown[]>> = {
  action: ["up", "plan", "status", "rehearse"],
  transaction: ["auto", "all", "each"],
  outOfOrder: ["error", "apply"],
  modified: ["warn", "error"],
  ahead: ["warn", "error"],
  executor: ["auto", "drizzle", "statements"],
  onFailure: ["throw", "return"],
  rehearsal: ["off", "first", "try"],
};

const LEAST: Readonly<Record<string, number>> = {
  lockTimeoutMs: 0,
  ddlLockTimeoutMs: 1,
  timeoutMs: 1,
};

/** Returns the request that a value stands for, without the parser's help; null when it must be refused. */
export function expectedRequest(value: unknown): unknown {
  if (value !== null && value !== undefined && !isRecord(value)) return null;
  const sent = new Map(Object.entries(value ?? {}));
  if ([...sent.keys()].some((key) => !(key in DEFAULTS) && nameOf(key) !== undefined)) return null;
  const entries = Object.entries(DEFAULTS).map(([key, byDefault]) => {
    const given = sent.get(key) ?? null;
    return [key, given === null ? byDefault : readField(key, given)] as const;
  });
  return entries.some(([, each]) => each === undefined) ? null : Object.fromEntries(entries);
}

/**
 * Returns the request that a person's value stands for; null when it must be refused, because it has a field that neither
 * a request nor a tool has.
 * @param known the fields of tools
 */
export function expectedOfPerson(value: unknown, known: readonly string[] = []): unknown {
  const fields = Object.keys(isRecord(value) ? value : {});
  const foreign = fields.some((key) => !Object.hasOwn(DEFAULTS, key) && !known.includes(key));
  return foreign ? null : expectedRequest(value);
}

/** Returns the field of which a key is another spelling. */
function nameOf(key: string): string | undefined {
  const plain = (name: string) => name.replaceAll(/[-_]/g, "").toLowerCase();
  return Object.keys(DEFAULTS).find((name) => plain(name) === plain(key));
}

function readField(key: string, given: unknown): unknown {
  // What these two hold is read where it is used.
  if (key === "target" || key === "expect") return given;
  if (key === "rehearsalLimits") return readLimits(given);
  const least = LEAST[key];
  if (least === undefined) return ALLOWED[key]?.find((each) => each === given);
  const digits = typeof given === "string" && given.length < 16 && /^[0-9]+$/.test(given);
  const number = digits ? Number(given) : given;
  const inRange = typeof number === "number" && number >= least && number <= 86_400_000;
  return inRange && Number.isInteger(number) ? number : undefined;
}

function readLimits(given: unknown): unknown {
  if (!isRecord(given)) return undefined;
  const { blockedMs = null, totalMs = null, ...others } = given;
  if (Object.keys(others).length > 0) return undefined;
  const read = (value: unknown) => (value === null ? null : readField("lockTimeoutMs", value));
  const limits = { blockedMs: read(blockedMs), totalMs: read(totalMs) };
  return Object.values(limits).includes(undefined) ? undefined : limits;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
