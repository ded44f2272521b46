import type { Statement, Touched } from "../bundle/bundle.ts";

/** PostgreSQL's table locks, from the weakest to the strongest (PostgreSQL documentation, "Explicit Locking"). */
export const LOCK_MODES = [
  "ACCESS SHARE",
  "ROW SHARE",
  "ROW EXCLUSIVE",
  "SHARE UPDATE EXCLUSIVE",
  "SHARE",
  "SHARE ROW EXCLUSIVE",
  "EXCLUSIVE",
  "ACCESS EXCLUSIVE",
] as const;

/** One of PostgreSQL's eight table locks. */
export type LockMode = (typeof LOCK_MODES)[number];

/** Of two locks the one that keeps more others out; null is none. */
export function strongerLock(one: LockMode | null, other: LockMode | null): LockMode | null {
  return rank(one) < rank(other) ? other : one;
}

function rank(lock: LockMode | null): number {
  return lock === null ? -1 : LOCK_MODES.indexOf(lock);
}

/** Something that a statement locks. */
export type Locked = Touched & { readonly lock: LockMode };

/** The strongest lock that a statement takes, with what it is taken on; null where none is known. */
export function strongestLock({ touches = [] }: Pick<Statement, "touches">): Locked | null {
  let strongest: Locked | null = null;
  for (const each of touches) {
    if (isLocked(each) && rank(each.lock) > rank(strongest?.lock ?? null)) strongest = each;
  }
  return strongest;
}

function isLocked(touched: Touched): touched is Locked {
  return touched.lock !== undefined;
}
