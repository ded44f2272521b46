import type { Bundle, Migration } from "../bundle/bundle.ts";
import type { Warning } from "../errors.ts";
import { rowKey } from "../ledger/home.ts";
import type { LedgerRow } from "../ledger/ledger.ts";

/** The ledger row of each migration. A row matches at most one migration, and the reverse. */
export interface Matching {
  readonly rowOf: ReadonlyMap<Migration, LedgerRow>;
  /** Rows that no migration of the bundle explains. */
  readonly unknown: readonly LedgerRow[];
  readonly warnings: readonly Warning[];
}

/** One way to match: a row and a migration with equal keys belong together. A null key matches nothing. */
interface Rule {
  readonly row: (row: LedgerRow) => string | null;
  readonly migration: (migration: Migration) => string;
}

interface Rules {
  /** From the surest to the least sure: name, then time and text. */
  readonly sure: readonly Rule[];
  readonly timeAlone: Rule;
}

const NAME: Rule = { row: ({ name }) => name, migration: ({ name }) => name };

const RULES: Rules = {
  sure: [
    NAME,
    { row: timedKey, migration: rowKey },
    // A row with whole seconds was written for a 1.0 folder, before the deployment was rolled back to the 0.x one.
    { row: timedKey, migration: ({ when, hash }) => rowKey({ when: toSecond(when), hash }) },
  ],
  timeAlone: {
    row: ({ when }) => when?.toString() ?? null,
    migration: ({ when }) => when.toString(),
  },
};

/**
 * The rules for the 1.0 layout. Its folders keep times in seconds, and the rows that 0.x wrote have milliseconds. Two
 * branches can generate in the same second, so a row with another name belongs to another migration.
 */
const RULES_OF_NAMED_FOLDERS: Rules = {
  sure: [
    NAME,
    {
      row: ({ when, hash }) => (when === null ? null : rowKey({ when: toSecond(when), hash })),
      migration: rowKey,
    },
  ],
  timeAlone: {
    row: ({ when, name }) => (when === null || name !== null ? null : toSecond(when).toString()),
    migration: ({ when }) => when.toString(),
  },
};

/**
 * Matches ledger rows to migrations: by name, by time and hash, by time alone (then the file was changed), and at
 * last by hash alone. The hash alone counts only if there are rows enough for all migrations that have it, because
 * two empty migrations have equal hashes. A migration whose text another row holds is matched by time alone only at
 * the very end: `drizzle-kit up` asks for later times in the journal, and each may be the time of the next row.
 */
export function matchRows(
  { layout, migrations }: Pick<Bundle, "layout" | "migrations">,
  rows: readonly LedgerRow[],
): Matching {
  const { sure, timeAlone } = layout === "1.0" ? RULES_OF_NAMED_FOLDERS : RULES;
  const rowOf = new Map<Migration, LedgerRow>();
  let left = rows;
  for (const rule of sure) left = matchBy(rule, migrations, left, rowOf);
  const texts = new Set(left.map(({ hash }) => hash));
  const unclaimed = migrations.filter(({ hash }) => !texts.has(hash));
  left = matchBy(timeAlone, unclaimed, left, rowOf);
  const matchedByHash = matchByHash(migrations, left, rowOf);
  left = left.filter((row) => !matchedByHash.includes(row));
  left = matchBy(timeAlone, migrations, left, rowOf);
  const explained = new Set(Array.from(rowOf.values(), rowKey));
  const repeated = left.filter((row) => explained.has(rowKey(row)));
  return {
    rowOf,
    unknown: left.filter((row) => !explained.has(rowKey(row))),
    warnings: [
      ...matchedByHash.map(hashOnlyWarning),
      ...(repeated.length === 0 ? [] : [repeatedWarning(repeated.length)]),
    ],
  };
}

function timedKey(row: LedgerRow): string | null {
  return row.when === null ? null : rowKey(row);
}

/** Rounds a time down to its second, the precision of a 1.0 folder's name. */
export function toSecond(when: number): number {
  return Math.floor(when / 1_000) * 1_000;
}

/** Returns the rows that found no migration. */
function matchBy(
  rule: Rule,
  migrations: readonly Migration[],
  rows: readonly LedgerRow[],
  rowOf: Map<Migration, LedgerRow>,
): readonly LedgerRow[] {
  const waiting = groupBy(
    migrations.filter((migration) => !rowOf.has(migration)),
    rule.migration,
  );
  return rows.filter((row) => {
    const key = rule.row(row);
    const migration = key === null ? undefined : waiting.get(key)?.shift();
    if (migration !== undefined) rowOf.set(migration, row);
    return migration === undefined;
  });
}

/** Returns the rows that found a migration. */
function matchByHash(
  migrations: readonly Migration[],
  rows: readonly LedgerRow[],
  rowOf: Map<Migration, LedgerRow>,
): readonly LedgerRow[] {
  const waiting = groupBy(
    migrations.filter((migration) => !rowOf.has(migration)),
    ({ hash }) => hash,
  );
  const matched: LedgerRow[] = [];
  for (const [hash, [...alike]] of groupBy(rows, (each) => each.hash)) {
    const candidates = waiting.get(hash) ?? [];
    if (candidates.length > alike.length) continue;
    for (const migration of candidates) {
      const row = alike.shift();
      if (row === undefined) break;
      rowOf.set(migration, row);
      matched.push(row);
    }
  }
  return matched;
}

function groupBy<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
): ReadonlyMap<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

function hashOnlyWarning({ id, hash }: LedgerRow): Warning {
  return {
    code: "MATCHED_BY_HASH",
    message: `Ledger row ${id} matches its migration by hash only (${hash.slice(0, 12)}…): the journal's time was changed after it was applied. It counts as applied.`,
  };
}

function repeatedWarning(count: number): Warning {
  return {
    code: "LEDGER_REPEATED_ROWS",
    message: `The ledger holds ${count} rows that repeat another one: migrators without a lock have raced here. The migrations count as applied once; look whether their data was written twice.`,
  };
}
