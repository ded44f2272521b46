import type { Migration } from "../bundle/bundle.ts";
import { type LockOut, lockOutBy, surelyMade } from "../bundle/lock-out.ts";
import type { Sending } from "../connection/pipeline.ts";
import { MigratorError } from "../errors.ts";
import type { LockMode } from "../postgres/locks.ts";

/**
 * A time in which reads or writes of others could not go on: from the first statement of a transaction that may keep them
 * waiting to the end of the transaction. Only locks on what was there before the run count.
 */
export interface Lockout {
  /** The place of that statement. */
  readonly migration: string;
  /** Its number, from 1. */
  readonly statement: number;
  /** The relation that it locks, in words; null where its text does not show that. Then the time is an upper bound. */
  readonly relation: string | null;
  readonly mode: LockMode | null;
  /** Time since the run began, in ms. */
  readonly startedMs: number;
  /**
   * In ms, rounded up. Of a transaction that was committed, by the server's clock. Otherwise by our own, with the time that the
   * answer took. Null where the connection was lost: the server ends such a transaction when it notices.
   */
  readonly durationMs: number | null;
  /** Whether the transaction was committed; null where the connection was lost before anybody said so. */
  readonly committed: boolean | null;
}

/** A member of the series of a transaction. A statement has its migration and its index there. */
type Member = Sending & {
  readonly kind: string;
  readonly migration?: Migration;
  readonly index?: number;
};

/** What the texts of a transaction say about its locks. */
export interface Reading {
  /** The first statement that may lock others out; null without one. */
  readonly first: { readonly member: Member; readonly place: LockoutPlace } | null;
  /** The names of what the transaction makes. */
  readonly made: ReadonlySet<string>;
}

/** The series of one transaction, with what its end means. */
export interface Watched {
  readonly series: readonly Sending[];
  committed(): void;
  /** @param thrown the error that ended it */
  failed(thrown: unknown): void;
}

const MAX_ENTRIES = 100;

/** The seconds since 1970 of the server's clock, at this moment (PostgreSQL documentation, "Date/Time Functions"). */
const CLOCK = "select pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())";

/**
 * Keeps the times in which a run locked others out. It puts two questions for the server's clock into the series of a
 * transaction, so that they cost no round trip: one ahead of the first statement that may lock others out, and one behind
 * the COMMIT. Both stand outside of the time that they measure.
 */
export class Lockouts {
  readonly #now: () => number;
  readonly #kept: Lockout[] = [];
  #longestMs: number | null = 0;
  /** The names of what the run has made and committed. */
  readonly #made = new Set<string>();

  /** @param now tells the time since the run began, in ms */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** In order, the first 100. */
  get kept(): readonly Lockout[] {
    return this.#kept;
  }

  /** The longest of all, in ms; 0 without any; null where the length of one is not known. */
  get longestMs(): number | null {
    return this.#longestMs;
  }

  /** Finds the first statement that may lock others out, and what the transaction makes. */
  read(members: readonly Member[]): Reading {
    const made = new Set<string>();
    let first: Reading["first"] = null;
    for (const member of members) {
      const { kind, migration, index = 0 } = member;
      const statement = migration?.statements[index];
      if (kind !== "statement" || migration === undefined || statement === undefined) continue;
      if (first === null) {
        const lock = lockOutBy(migration, index, { before: this.#made, within: made });
        first = lock === null ? null : { member, place: placeOf(migration, index, lock) };
      }
      for (const name of surelyMade(migration, statement)) made.add(name);
    }
    return { first, made };
  }

  /** Puts the questions into the series of a transaction. @param reading of the members with its statements */
  watch(members: readonly Member[], { first, made }: Reading): Watched {
    const began = this.#now();
    const clock: { before: number | null; after: number | null; startedMs: number | null } = {
      ...{ before: null, after: null, startedMs: null },
    };
    const committed = () => {
      for (const name of made) this.#made.add(name);
      if (first !== null) this.#end(first.place, clock.startedMs ?? began, lasted(clock), true);
    };
    if (first === null) return { series: members, committed, failed: () => undefined };
    const before = question((seconds) => {
      clock.before = seconds;
      clock.startedMs = this.#now();
    });
    const after = question((seconds) => {
      clock.after = seconds;
    });
    const at = members.indexOf(first.member);
    return {
      series: [...members.slice(0, at), before, ...members.slice(at), after],
      committed,
      failed: (thrown) => {
        // A transaction that was refused ahead of that statement has locked nobody out.
        if (clock.startedMs === null && !isLost(thrown)) return;
        this.#end(first.place, clock.startedMs ?? began, null, isLost(thrown) ? null : false);
      },
    };
  }

  /** Watches a statement outside a transaction, by our own clock. @throws whatever `run` throws */
  async alone(migration: Migration, index: number, run: () => Promise<void>): Promise<void> {
    const lock = lockOutBy(migration, index, { before: this.#made, within: new Set() });
    if (lock === null) return await run();
    const place = placeOf(migration, index, lock);
    const startedMs = this.#now();
    try {
      await run();
      this.#end(place, startedMs, null, true);
    } catch (thrown) {
      this.#end(place, startedMs, null, isLost(thrown) ? null : false);
      throw thrown;
    }
  }

  /** @param serverMs by the server's clock; null where nobody asked it, or it has not answered */
  #end(
    place: LockoutPlace,
    startedMs: number,
    serverMs: number | null,
    committed: boolean | null,
  ): void {
    const ms = committed === null ? null : (serverMs ?? this.#now() - startedMs);
    const durationMs = ms === null ? null : Math.ceil(ms);
    const isKnown = this.#longestMs !== null && durationMs !== null;
    this.#longestMs = isKnown ? Math.max(this.#longestMs ?? 0, durationMs ?? 0) : null;
    if (this.#kept.length < MAX_ENTRIES) {
      this.#kept.push({ ...place, startedMs, durationMs, committed });
    }
  }
}

/** The place of a lockout, with its lock. */
type LockoutPlace = Pick<Lockout, "migration" | "statement" | keyof LockOut>;

function placeOf({ tag }: Migration, index: number, lock: LockOut): LockoutPlace {
  return { migration: tag, statement: index + 1, ...lock };
}

function question(tell: (seconds: number) => void): Sending {
  return {
    ...{ text: CLOCK, mayLag: false, isOfNext: true },
    onRows: ([[seconds = null] = []]) => tell(Number(seconds)),
  };
}

/** The time between two answers of the server's clock, in ms. It may have been set back meanwhile. */
function lasted({ before, after }: { before: number | null; after: number | null }): number | null {
  return before === null || after === null ? null : Math.max((after - before) * 1_000, 0);
}

/** Whether the connection went away, so that nobody knows when the transaction ended. */
function isLost(thrown: unknown): boolean {
  if (!(thrown instanceof MigratorError)) return false;
  return thrown.code === "CONNECTION_LOST" || thrown.facts.unconfirmed === true;
}
