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

/** Returns the stronger of two locks, which keeps more others out. Null stands for no lock. */
export function strongerLock(one: LockMode | null, other: LockMode | null): LockMode | null {
  return rank(one) < rank(other) ? other : one;
}

function rank(lock: LockMode | null): number {
  return lock === null ? -1 : LOCK_MODES.indexOf(lock);
}
