import { type LockMode, strongerLock } from "../postgres/locks.ts";
import type { StatementAt } from "../report/rehearsed.ts";
import type { Moment } from "./moment.ts";
import type { ObservedTransaction } from "./observe.ts";
import type { Relation, Relations } from "./relations.ts";

/** The statements between two questions for the locks, and the locks behind them. */
export interface Look {
  /** By oid. Behind the COMMIT there are none. */
  readonly locks: ReadonlyMap<string, readonly LockMode[]>;
  /** The statements since the look before, in order; none behind the COMMIT. */
  readonly statements: readonly Ran[];
  readonly askedMs: number;
}

/** A statement as it ran. */
export interface Ran {
  readonly at: StatementAt;
  /** When it began, ms since 1970. */
  readonly startedMs: number;
  readonly moment: Moment;
}

const NO_LOCKS: Look["locks"] = new Map();

/** Returns the moments of a transaction at which its locks are known. */
export function looksOf({ moments }: ObservedTransaction): readonly Look[] {
  const looks: Look[] = [];
  let statements: Ran[] = [];
  for (const [index, moment] of moments.entries()) {
    const before = moments[index - 1];
    if (before === undefined) continue;
    const { at, locks, askedMs } = moment;
    if (at !== null) statements.push({ at, startedMs: before.answeredMs, moment });
    if (locks === null && index < moments.length - 1) continue;
    looks.push({ locks: locks ?? NO_LOCKS, statements, askedMs });
    statements = [];
  }
  return looks;
}

/**
 * Returns the statement of a look that took a lock on a relation: the one whose text says so, else the first. An index and the
 * sequence of a column come with their table.
 */
export function takerOf({ statements }: Look, { oid, owner }: Relation): Ran | undefined {
  const names = (ran: Ran) =>
    ran.moment.raises.has(oid) || (owner !== null && ran.moment.raises.has(owner));
  return statements.find(names) ?? statements[0];
}

/** Returns the strongest of some modes; null of none. */
export function strongest(modes: readonly LockMode[]): LockMode | null {
  return modes.reduce<LockMode | null>((one, other) => strongerLock(one, other), null);
}

/** A lock that a statement took, where none before it had one as strong. */
interface Taken {
  readonly relation: string;
  readonly mode: LockMode;
}

/** Returns the locks that each statement was the first to take. What comes with a table that is locked as strongly is left out. */
export function takenLocks(
  looks: readonly Look[],
  relations: Relations,
): ReadonlyMap<Moment, readonly Taken[]> {
  const taken = new Map<Moment, Taken[]>();
  for (const [index, look] of looks.entries()) {
    const before = looks[index - 1]?.locks ?? NO_LOCKS;
    for (const [oid, modes] of look.locks) {
      const relation = relations.get(oid);
      const mode = strongest(modes);
      if (relation === undefined || mode === null || !isNew(mode, relation, before, look)) continue;
      const taker = takerOf(look, relation)?.moment;
      if (taker === undefined) continue;
      taken.set(taker, [...(taken.get(taker) ?? []), { relation: relation.name, mode }]);
    }
  }
  return taken;
}

function isNew(
  mode: LockMode,
  { oid, owner }: Relation,
  before: Look["locks"],
  { locks }: Look,
): boolean {
  const had = strongest(before.get(oid) ?? []);
  const ofOwner = owner === null ? null : strongest(locks.get(owner) ?? []);
  return isStronger(mode, had) && isStronger(mode, ofOwner);
}

function isStronger(mode: LockMode, other: LockMode | null): boolean {
  return mode !== other && strongerLock(mode, other) === mode;
}
