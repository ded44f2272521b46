import type { Bundle, Migration, Warning } from "./bundle.ts";
import type { LedgerRow } from "./ledger-home.ts";

/** Which ledger row belongs to which migration. A row matches at most one migration, and the reverse. */
export interface Matching {
  readonly rowOf: ReadonlyMap<Migration, LedgerRow>;
  /** Rows that no migration of the bundle explains. */
  readonly unknown: readonly LedgerRow[];
  readonly warnings: readonly Warning[];
}

/** Where both keys are equal, row and migration belong together. A null key matches nothing. */
interface Rule {
  readonly row: (row: LedgerRow) => string | null;
  readonly migration: (migration: Migration) => string;
}

/** From the surest to the least sure. */
const RULES: readonly Rule[] = [
  { row: ({ name }) => name, migration: ({ name }) => name },
  {
    row: ({ when, hash }) => (when === null ? null : `${when} ${hash}`),
    migration: ({ when, hash }) => `${when} ${hash}`,
  },
  { row: ({ when }) => when?.toString() ?? null, migration: ({ when }) => when.toString() },
];

/**
 * A folder of the 1.0 layout keeps its time in seconds, and the rows that 0.x wrote have milliseconds. Two
 * branches can generate in the same second: a row that bears another name is another migration.
 */
const RULES_OF_NAMED_FOLDERS: readonly Rule[] = [
  { row: ({ name }) => name, migration: ({ name }) => name },
  {
    row: ({ when, hash }) => (when === null ? null : `${toSecond(when)} ${hash}`),
    migration: ({ when, hash }) => `${when} ${hash}`,
  },
  {
    row: ({ when, name }) => (when === null || name !== null ? null : toSecond(when).toString()),
    migration: ({ when }) => when.toString(),
  },
];

/**
 * Matches ledger rows to migrations: by name, by time and hash, by time alone (then the file was
 * changed), and at last by hash alone, but only where exactly one of each is left with it: two empty
 * migrations have equal hashes.
 */
export function matchRows(
  { layout, migrations }: Pick<Bundle, "layout" | "migrations">,
  rows: readonly LedgerRow[],
): Matching {
  const rowOf = new Map<Migration, LedgerRow>();
  let left = rows;
  for (const rule of layout === "1.0" ? RULES_OF_NAMED_FOLDERS : RULES) {
    left = matchBy(rule, migrations, left, rowOf);
  }
  const matchedByHash = matchByHash(migrations, left, rowOf);
  const explained = new Set(Array.from(rowOf.values(), rowKey));
  left = left.filter((row) => !matchedByHash.includes(row));
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

function toSecond(when: number): number {
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
  for (const [hash, [row, ...others]] of groupBy(rows, (each) => each.hash)) {
    const [migration, ...rivals] = waiting.get(hash) ?? [];
    if (row === undefined || migration === undefined) continue;
    if (others.length > 0 || rivals.length > 0) continue;
    rowOf.set(migration, row);
    matched.push(row);
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

function rowKey({ when, hash }: LedgerRow): string {
  return `${when} ${hash}`;
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
