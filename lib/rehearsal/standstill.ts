import { LOCK_MODES, type LockMode } from "../postgres/locks.ts";
import type { Blocks, Rewrite, Standstill, StatementCost } from "../report/rehearsed.ts";
import { type Look, looksOf, strongest, takenLocks, takerOf } from "./looks.ts";
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
  const found = transactions.flatMap((transaction) => {
    const looks = looksOf(transaction);
    const locked = new Set(looks.flatMap(({ locks }) => [...locks.keys()]));
    return Array.from(locked, (oid) => relations.get(oid)).flatMap((relation) =>
      relation === undefined ? [] : standstillsOf(relation, looks, transaction.samples !== null),
    );
  });
  return withoutIndexesOf(found).toSorted((one, other) => other.ms - one.ms);
}

function standstillsOf(
  relation: Relation,
  looks: readonly Look[],
  sampled: boolean,
): readonly Standstill[] {
  const found: Standstill[] = [];
  for (const blocks of CLASSES) {
    const span = spanOf(relation, blocks, looks);
    if (span === null) continue;
    // The same span is told once, by the worst that it does.
    const isTold = found.some(({ ms }) => ms >= span.ms);
    const { name, table, kind, bytes, rows } = relation;
    if (!isTold) found.push({ relation: name, table, kind, blocks, bytes, rows, sampled, ...span });
  }
  return found;
}

type Span = Pick<Standstill, "mode" | "since" | "ms">;

/** Returns the longest span in which a relation has a lock of this class. */
function spanOf(relation: Relation, blocks: Blocks, looks: readonly Look[]): Span | null {
  const has = looks.map((look) => blocksAt(look, relation.oid, blocks));
  const starts = has.flatMap((isHeld, index) => (isHeld && has[index - 1] !== true ? [index] : []));
  const spans = starts.flatMap((start) => {
    const next = has.indexOf(false, start);
    return spanFrom(relation, looks.slice(start, next < 0 ? looks.length : next + 1)) ?? [];
  });
  return spans.reduce<Span | null>(
    (one, other) => (one !== null && one.ms >= other.ms ? one : other),
    null,
  );
}

/** @param looks those with the lock, and the one behind them */
function spanFrom(relation: Relation, looks: readonly Look[]): Span | null {
  const [first, last] = [looks[0], looks.at(-1)];
  const mode = strongest(looks.flatMap(({ locks }) => locks.get(relation.oid) ?? []));
  const taker = first === undefined ? undefined : takerOf(first, relation);
  if (last === undefined || taker === undefined || mode === null) return null;
  return { mode, since: taker.at, ms: Math.max(last.askedMs - taker.startedMs, 0) };
}

function blocksAt(look: Look, oid: string, blocks: Blocks): boolean {
  return isAtLeast(strongest(look.locks.get(oid) ?? []), blocks);
}

/** Whether a lock keeps out such work. */
export function isAtLeast(mode: LockMode | null, blocks: Blocks): boolean {
  return mode !== null && LOCK_MODES.indexOf(mode) >= LOCK_MODES.indexOf(LEAST[blocks]);
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
  for (const { at, filenodes } of transactions.flatMap(({ moments }) => moments)) {
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
  return transactions.flatMap((transaction) => {
    const { moments, samples } = transaction;
    const taken = takenLocks(looksOf(transaction), relations);
    if (samples !== null) return costOfSampled(transaction, [...taken.values()].flat());
    return moments.flatMap((moment, index) => {
      const { at, askedMs, wal } = moment;
      const before = moments[index - 1];
      if (at === null || before === undefined) return [];
      const walBytes = wal === null || before.wal === null ? null : Number(wal - before.wal);
      const ms = Math.max(askedMs - before.answeredMs, 0);
      return [{ ...at, ms, walBytes, locks: taken.get(moment) ?? [], samples }];
    });
  });
}

/** @param locks the strongest on a relation comes last */
function costOfSampled(
  { moments, samples }: ObservedTransaction,
  locks: StatementCost["locks"],
): readonly StatementCost[] {
  const [first, last] = [moments[0], moments.at(-1)];
  const at = moments.find((moment) => moment.at !== null)?.at ?? null;
  if (first === undefined || last === undefined || at === null) return [];
  const walBytes = last.wal === null || first.wal === null ? null : Number(last.wal - first.wal);
  const all = Array.from(new Map(locks.map(({ relation, mode }) => [relation, mode])));
  return [
    {
      ...{ ...at, ms: Math.max(last.askedMs - first.answeredMs, 0), walBytes, samples },
      locks: all.map(([relation, mode]) => ({ relation, mode })),
    },
  ];
}
