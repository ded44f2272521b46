import type { Whereabouts } from "../connection/connection.ts";
import type { SessionFacts } from "../postgres/activity.ts";
import type { Look } from "./blockers.ts";
import { type Lockout, Lockouts } from "./lockouts.ts";

/** Another session, as a report names it. Its statement is not told: it may hold data. */
export type SessionName = Pick<SessionFacts, "pid" | "application" | "role"> & {
  /** The name of a prepared transaction, which has no session; null for a session. */
  readonly gid: string | null;
};

/** The place where a run was; null outside of the statements, such as at the migration lock. */
interface Place {
  readonly migration: string | null;
  /** Number of the statement, from 1. */
  readonly statement: number | null;
}

/** A time in which the run waited for other sessions. Tries of one statement that follow each other are one wait. */
export interface Wait extends Place {
  /** Time since the run began, in ms. */
  readonly startedMs: number;
  readonly durationMs: number;
  /** The sessions that held what it needed, the first five that were seen. */
  readonly blockedBy: readonly SessionName[];
}

/** A time in which other sessions waited for the locks of the run. Its place is that of the first look that saw them. */
export interface Stall extends Place {
  readonly startedMs: number;
  readonly durationMs: number;
  /** The most sessions that waited at one time. */
  readonly sessions: number;
  /** The longest wait of one of them, in ms, as far as it was seen. */
  readonly longestMs: number;
  /** The first five that were seen. */
  readonly examples: readonly SessionName[];
}

/** The times of one migration, as a report has them. Absent where this run did not begin it. */
export interface MigrationTimes {
  /** Time since the run began, in ms, when its first statement began in the try that counts. */
  readonly startedMs?: number;
  /**
   * Time of each statement, in ms, from the end of the one before it; null for one that this run did not send. Of answers
   * that arrive together the first has the time of all.
   */
  readonly statementMs?: readonly (number | null)[];
}

/** The parts of a report that get their times here. */
interface Timed {
  readonly tag: string;
  readonly statements: number;
}

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

const MAX_ENTRIES = 100;
const MAX_SESSIONS = 5;
/** Two clocks and two ways: a wait that began so little before its statement still belongs to it, in ms. */
const SLACK_MS = 20;

/** Keeps the times of a run: of each statement, of each wait, and of those who waited for it. All in ms since its begin. */
export class RunTimes {
  readonly lockouts: Lockouts;
  readonly #now: () => number;
  readonly #migrations = new Map<string, { startedMs: number; first: number; ends: number[] }>();
  readonly #waits: Mutable<Wait>[] = [];
  readonly #stalls: Mutable<Stall>[] = [];
  #place: Whereabouts | null = null;
  #turnedMs = 0;
  /** The wait of the present statement, maybe of an earlier try. */
  #wait: Mutable<Wait> | null = null;
  #isWaiting = false;
  #stall: Mutable<Stall> | null = null;

  /** @param now tells the time since the run began, in ms */
  constructor(now: () => number) {
    this.#now = now;
    this.lockouts = new Lockouts(now);
  }

  /** The server has turned to this place; null: to something else, or to nothing. */
  turned(place: Whereabouts | null): void {
    const now = this.#end();
    this.#isWaiting = false;
    this.#place = place;
    this.#turnedMs = now;
    if (place === null) return;
    this.#begin(place, now);
    const last = this.#waits.at(-1);
    const { migration, statement } = this.#here();
    this.#wait = last?.migration === migration && last.statement === statement ? last : null;
  }

  /** Somebody has looked for whom the run waits, and who waits for it. */
  saw({ ahead, behind, waitedMs, longestMs }: Look): void {
    const now = this.#now();
    const startedMs = Math.max(now - (waitedMs ?? 0), 0);
    // The answer to a look can come when the statement that it saw is over.
    const isStale = startedMs + SLACK_MS < this.#turnedMs;
    if (ahead.length > 0 && !isStale) this.#waitsFor(ahead, startedMs, now);
    else if (ahead.length === 0 && this.#isWaiting) {
      this.#isWaiting = false;
      this.#wait = null;
    }
    if (behind.length > 0) this.#isWaitedForBy(behind, longestMs ?? 0, now);
    else this.#stall = null;
  }

  /** Adds the times to the facts of a report. */
  told<Applied extends Timed, Pending extends Timed>(
    applied: readonly Applied[],
    pending: readonly Pending[],
  ): {
    readonly applied: readonly (Applied & MigrationTimes)[];
    readonly pending: readonly (Pending & MigrationTimes)[];
    readonly waits: readonly Wait[];
    readonly stalls: readonly Stall[];
    readonly lockouts: readonly Lockout[];
    readonly lockedOutMs: number | null;
  } {
    if (this.#place !== null) this.#end();
    const counts = new Map([...applied, ...pending].map((each) => [each.tag, each.statements]));
    const placed = <Entry extends Place>({ statement, ...rest }: Entry) => {
      const count = counts.get(rest.migration ?? "") ?? 0;
      // Behind its last statement a migration waits with its ledger row.
      return { ...rest, statement: statement !== null && statement > count ? null : statement };
    };
    return {
      applied: applied.map((each) => ({ ...each, ...this.#timesOf(each) })),
      pending: pending.map((each) => ({ ...each, ...this.#timesOf(each) })),
      waits: this.#waits.map(placed),
      stalls: this.#stalls.map(placed),
      lockouts: this.lockouts.kept,
      lockedOutMs: this.lockouts.longestMs,
    };
  }

  #here(): Place {
    const { migration = null, index } = this.#place ?? {};
    return { migration, statement: index === undefined ? null : index + 1 };
  }

  /** Ends, or goes on with, whatever is open at this moment. */
  #end(): number {
    const now = this.#now();
    if (this.#place !== null) {
      const { migration, index } = this.#place;
      const known = this.#migrations.get(migration);
      if (known !== undefined) known.ends[index] = now;
    }
    if (this.#isWaiting && this.#wait !== null) this.#wait.durationMs = now - this.#wait.startedMs;
    if (this.#stall !== null) this.#stall.durationMs = now - this.#stall.startedMs;
    return now;
  }

  #begin({ migration, index }: Whereabouts, now: number): void {
    const known = this.#migrations.get(migration);
    if (known === undefined) {
      this.#migrations.set(migration, { startedMs: now, first: index, ends: [] });
      return;
    }
    if (known.ends.length <= index) return;
    // It is tried again: nothing stays of what followed it.
    known.ends.length = index;
    if (index <= known.first) known.startedMs = now;
    const tags = [...this.#migrations.keys()];
    for (const tag of tags.slice(tags.indexOf(migration) + 1)) this.#migrations.delete(tag);
  }

  #timesOf({ tag, statements }: Timed): MigrationTimes {
    const known = this.#migrations.get(tag);
    if (known === undefined) return {};
    const { startedMs, ends } = known;
    let before = startedMs;
    const statementMs = Array.from({ length: Math.min(ends.length, statements) }, (_, index) => {
      const end = ends[index];
      if (end === undefined) return null;
      const took = end - before;
      before = end;
      return took;
    });
    return { startedMs, statementMs };
  }

  #waitsFor(sessions: readonly SessionFacts[], startedMs: number, now: number): void {
    if (this.#wait === null) {
      if (this.#waits.length >= MAX_ENTRIES) return;
      this.#wait = { ...this.#here(), startedMs, durationMs: 0, blockedBy: [] };
      this.#waits.push(this.#wait);
    }
    this.#isWaiting = true;
    this.#wait.durationMs = now - this.#wait.startedMs;
    this.#wait.blockedBy = withNames(this.#wait.blockedBy, sessions);
  }

  #isWaitedForBy(sessions: readonly SessionFacts[], longestMs: number, now: number): void {
    if (this.#stall === null) {
      if (this.#stalls.length >= MAX_ENTRIES) return;
      const startedMs = Math.max(now - longestMs, 0);
      const nobody = { sessions: 0, longestMs: 0, examples: [] };
      this.#stall = { ...this.#here(), startedMs, durationMs: 0, ...nobody };
      this.#stalls.push(this.#stall);
    }
    const stall = this.#stall;
    stall.durationMs = now - stall.startedMs;
    stall.sessions = Math.max(stall.sessions, sessions.length);
    stall.longestMs = Math.max(stall.longestMs, longestMs);
    stall.examples = withNames(stall.examples, sessions);
  }
}

function withNames(
  known: readonly SessionName[],
  sessions: readonly SessionFacts[],
): readonly SessionName[] {
  const isNew = ({ pid, gid = null }: SessionFacts) =>
    !known.some((each) => each.pid === pid && each.gid === gid);
  const added = sessions
    .filter(isNew)
    .map(({ pid, gid = null, application, role }) => ({ pid, gid, application, role }));
  return added.length === 0 ? known : [...known, ...added].slice(0, MAX_SESSIONS);
}
