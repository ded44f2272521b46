import { LOCK_MODES, type LockMode } from "../postgres/locks.ts";
import type {
  Blocks,
  Rewrite,
  Standstill,
  StatementAt,
  StatementCost,
} from "../report/rehearsed.ts";
import type { ObservedTransaction } from "./observe.ts";
import type { Relation, Relations } from "./relations.ts";

/** The least locks that keep out reads, writes and other DDL (PostgreSQL documentation, "Explicit Locking"). */
const LEAST: Readonly<Record<Blocks, LockMode>> = {
  reads: "ACCESS EXCLUSIVE",
  writes: "SHARE",
  ddl: "SHARE UPDATE EXCLUSIVE",
};
const CLASSES: readonly Blocks[] = ["reads", "writes", "ddl"];

/** Says for which relations others would have waited, for how long and since which statement; the longest first. */
export function standstills(
  transactions: readonly ObservedTransaction[],
  relations: Relations,
): readonly Standstill[] {
  const found = transactions.flatMap((moments) => {
    const looks = looksOf(moments);
    const locked = new Set(looks.flatMap(({ locks }) => [...locks.keys()]));
    return Array.from(locked, (oid) => relations.get(oid)).flatMap((relation) =>
      relation === undefined ? [] : standstillsOf(relation, looks),
    );
  });
  return withoutIndexesOf(found).toSorted((one, other) => other.ms - one.ms);
}

function standstillsOf(relation: Relation, looks: readonly Look[]): readonly Standstill[] {
  const found: Standstill[] = [];
  for (const blocks of CLASSES) {
    const span = spanOf(relation.oid, blocks, looks);
    if (span === null) continue;
    // The same span is told once, by the worst that it does.
    const isTold = found.some(({ ms }) => ms >= span.ms);
    const { name, table, kind, bytes, rows } = relation;
    if (!isTold) found.push({ relation: name, table, kind, blocks, bytes, rows, ...span });
  }
  return found;
}

/** The locks at one moment, and the work since the moment before. */
interface Look {
  readonly locks: ReadonlyMap<string, readonly LockMode[]>;
  /** The first statement behind the look before; null behind the COMMIT. */
  readonly since: StatementAt | null;
  /** When that statement began, ms since 1970. */
  readonly sinceMs: number;
  readonly askedMs: number;
}

const NO_LOCKS: Look["locks"] = new Map();

/** Returns the moments of a transaction at which its locks are known. Behind the COMMIT there are none. */
function looksOf(moments: ObservedTransaction): readonly Look[] {
  const looks: Look[] = [];
  let before = 0;
  for (const [index, moment] of moments.entries()) {
    const isEnd = index === moments.length - 1;
    if (index === 0 || (moment.locks === null && !isEnd)) continue;
    const since = moments[before + 1]?.at ?? null;
    const sinceMs = moments[before]?.answeredMs ?? moment.askedMs;
    looks.push({ locks: moment.locks ?? NO_LOCKS, since, sinceMs, askedMs: moment.askedMs });
    before = index;
  }
  return looks;
}

/** Returns the longest span in which a relation has a lock of this class. */
function spanOf(
  oid: string,
  blocks: Blocks,
  looks: readonly Look[],
): Pick<Standstill, "mode" | "since" | "ms"> | null {
  let longest: Pick<Standstill, "mode" | "since" | "ms"> | null = null;
  for (let start = 0; start < looks.length; start += 1) {
    const first = looks[start];
    if (first === undefined || first.since === null || !blocksAt(first, oid, blocks)) continue;
    let end = start + 1;
    while (blocksAt(looks[end], oid, blocks)) end += 1;
    const ms = Math.max((looks[end]?.askedMs ?? first.askedMs) - first.sinceMs, 0);
    const modes = looks.slice(start, end).flatMap(({ locks }) => locks.get(oid) ?? []);
    if (longest === null || ms > longest.ms) {
      longest = { mode: strongest(modes), since: first.since, ms };
    }
    start = end;
  }
  return longest;
}

function blocksAt(look: Look | undefined, oid: string, blocks: Blocks): boolean {
  const least = LOCK_MODES.indexOf(LEAST[blocks]);
  return (look?.locks.get(oid) ?? []).some((mode) => LOCK_MODES.indexOf(mode) >= least);
}

function strongest(modes: readonly LockMode[]): LockMode {
  return modes.reduce((one, other) =>
    LOCK_MODES.indexOf(one) < LOCK_MODES.indexOf(other) ? other : one,
  );
}

/** Leaves out an index whose table stands still as much, and for as long. */
function withoutIndexesOf(found: readonly Standstill[]): readonly Standstill[] {
  return found.filter(
    (each) =>
      each.table === null ||
      !found.some(
        (other) =>
          other.relation === each.table &&
          CLASSES.indexOf(other.blocks) <= CLASSES.indexOf(each.blocks) &&
          other.ms >= each.ms,
      ),
  );
}

/** Says which relations were written anew, by which statement. */
export function rewrites(
  transactions: readonly ObservedTransaction[],
  relations: Relations,
): readonly Rewrite[] {
  const present = new Map<string, string | null>();
  const found: Rewrite[] = [];
  for (const { at, filenodes } of transactions.flat()) {
    for (const [oid, filenode] of filenodes) {
      const relation = relations.get(oid);
      const before = present.has(oid) ? present.get(oid) : relation?.filenode;
      present.set(oid, filenode);
      if (relation === undefined || at === null || before === filenode || before == null) continue;
      const { name, table, kind, bytes, rows } = relation;
      found.push({ relation: name, table, kind, by: at, bytes, rows });
    }
  }
  // With a table all of its indexes are built anew.
  return found.filter(
    ({ table, by }) => !found.some((other) => other.relation === table && other.by === by),
  );
}

/** Says what each statement has cost, and which locks it was the first to take. */
export function statementCosts(
  transactions: readonly ObservedTransaction[],
  relations: Relations,
): readonly StatementCost[] {
  return transactions.flatMap((moments) => {
    let held: Look["locks"] = NO_LOCKS;
    return moments.flatMap(({ at, askedMs, wal, locks }, index) => {
      const before = moments[index - 1];
      if (at === null || before === undefined) return [];
      const taken = [...(locks ?? [])].flatMap(([oid, modes]) => {
        const fresh = modes.filter((mode) => !(held.get(oid) ?? []).includes(mode));
        return fresh.map((mode) => ({ relation: relations.get(oid)?.name ?? oid, mode }));
      });
      held = locks ?? held;
      const walBytes = wal === null || before.wal === null ? null : Number(wal - before.wal);
      return [{ ...at, ms: Math.max(askedMs - before.answeredMs, 0), walBytes, locks: taken }];
    });
  });
}
