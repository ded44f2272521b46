import type { Bundle, Migration } from "../bundle/bundle.ts";
import type { Warning } from "../errors.ts";
import type { Ledger, LedgerRow } from "../ledger/ledger.ts";
import { quotePlace } from "../ledger/place.ts";
import { quoteLiteral } from "../postgres/names.ts";
import { type Matching, toSecond } from "./match.ts";

/** Number of migrations that a warning names. Its SQL covers all of them. */
const SHOWN = 5;

/**
 * Warns of applied migrations that Drizzle 1.0 would run again, because it goes by the names in its ledger alone. The
 * row of such a migration has no name (Drizzle 0.45 leaves it out) or another one (the folder was renamed), or
 * Drizzle's own upgrade of a 0.x ledger would give the name to another row. Pure.
 */
export function warnOfNames(
  { layout, migrations }: Bundle,
  ledger: Ledger,
  { rowOf }: Matching,
): readonly Warning[] {
  if (ledger.format === "0.x" && layout === "0.x") return [];
  const upgrades = ledger.format === "0.x";
  const seen = upgrades ? namesAfterUpgrade(migrations, ledger.rows) : namesOf(ledger.rows);
  if (seen === null) return [];
  const unseen = [...rowOf].filter(([{ name }]) => !seen.has(name));
  if (unseen.length === 0) return [];
  const tags = unseen.slice(0, SHOWN).map(([{ tag }]) => tag);
  const more = unseen.length > SHOWN ? ` and ${unseen.length - SHOWN} more` : "";
  const why = upgrades
    ? "its own upgrade of this ledger would give the name to another row"
    : "it goes by the name in the ledger, and no row has it";
  return [
    {
      code: "LEDGER_NAME_MISSING",
      message: `Drizzle 1.0 would run ${tags.join(", ")}${more} again: ${why}. Here it counts as applied. Before Drizzle's own migrator runs on this database: ${namingStatements(ledger, upgrades ? [...rowOf] : unseen)}`,
    },
  ];
}

function namesOf(rows: readonly LedgerRow[]): ReadonlySet<string> {
  return new Set(rows.flatMap(({ name }) => (name === null ? [] : [name])));
}

/**
 * Returns the names that drizzle-orm 1.0.0-rc.5 would write into a 0.x ledger (`up-migrations/pg.js`). It goes by the
 * second, whatever the text is, and by the text only if the second leaves a choice or nothing.
 * @returns null where Drizzle refuses because a row belongs to no migration
 */
function namesAfterUpgrade(
  migrations: readonly Migration[],
  rows: readonly LedgerRow[],
): ReadonlySet<string> | null {
  const names = new Set<string>();
  for (const { when, hash } of rows) {
    const sameSecond = migrations.filter(
      (each) => when !== null && toSecond(each.when) === toSecond(when),
    );
    const [only] = sameSecond;
    const sameText = sameSecond.length === 0 ? migrations.toReversed() : sameSecond;
    const found = sameSecond.length === 1 ? only : sameText.find((each) => each.hash === hash);
    if (found === undefined) return null;
    names.add(found.name);
  }
  return names;
}

function namingStatements(
  { place, format }: Ledger,
  rows: readonly (readonly [Migration, LedgerRow])[],
): string {
  const table = quotePlace(place);
  const columns = `alter table ${table} add column if not exists name text, add column if not exists applied_at timestamp with time zone default now();`;
  const values = rows.map(([{ name }, { id }]) => `(${id}, ${quoteLiteral(name)})`).join(", ");
  const names = `update ${table} l set name = v.name${format === "0.x" ? ", applied_at = null" : ""} from (values ${values}) v (id, name) where l.id = v.id;`;
  return format === "0.x" ? `begin; ${columns} ${names} commit;` : names;
}
