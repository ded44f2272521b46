import type { Bundle, Migration } from "../bundle/bundle.ts";
import { type MadeTable, tablesMadeBy } from "../compile/sql/history.ts";
import type { Connection } from "../connection/connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import { checkpointDelete, checkpointPlace, findCheckpoint } from "../ledger/checkpoints.ts";
import { chooseWritePlace } from "../ledger/home.ts";
import { quotePlace } from "../ledger/place.ts";
import { createLedgerStatements, ledgerRowInsert } from "../ledger/write.ts";
import { tablesQuestion } from "../postgres/find-tables.ts";
import type { ObjectName } from "../postgres/names.ts";
import { type Change, type Here, hasNoCheckpoint, hasRow, upTo } from "./changes.ts";

/** The claim of a baseline about a database. */
export interface BaselineClaim {
  readonly to: string;
  /** Tags of the migrations that get a row. */
  readonly tags: ReadonlySet<string>;
  /** Tables, as `name` or `schema.name`, that may be missing. */
  readonly gone: readonly string[];
}

/** Number of tables that an error names. */
const MAX_NAMED = 10;

/** A baseline that may be written. */
export interface CheckedBaseline {
  /** The tables of the claimed migrations that the database has. Only their names were compared. */
  readonly foundTables: readonly string[];
  readonly warnings: readonly Warning[];
}

/**
 * Checks that the database has the tables that a baseline claims. A baseline that claims too much would leave tables
 * missing for ever. One that claims too little only makes the next run fail, so it gets a warning.
 * @throws MigratorError `BASELINE_MISMATCH`, which names the missing tables and the migrations that make them
 */
export async function checkBaseline(
  connection: Connection,
  bundle: Bundle,
  { to, tags, gone }: BaselineClaim,
): Promise<CheckedBaseline> {
  const claimed = upTo(bundle, to);
  const made = await tablesMadeBy(claimed);
  const names = new Set(made.map(({ table }) => display(table)));
  const later = (await tablesMadeBy(bundle.migrations.slice(claimed.length))).filter(
    ({ table }) => !names.has(display(table)),
  );
  const present = await findTables(connection, [...made, ...later]);
  const wanted = made.filter(({ tag }) => tags.has(tag));
  const lacking = wanted.filter((each) => !present.has(each) && !isGone(each, gone));
  if (lacking.length > 0) throw mismatch(lacking);
  const early = later.filter((each) => present.has(each));
  return {
    foundTables: wanted.filter((each) => present.has(each)).map(({ table }) => display(table)),
    warnings: early.length === 0 ? [] : [tooShort(early, to)],
  };
}

/** Returns those of these tables that exist. A name without a schema is looked for along the search path. */
async function findTables(
  connection: Connection,
  tables: readonly MadeTable[],
): Promise<ReadonlySet<MadeTable>> {
  const names = tables.map(({ table }) => table);
  const rows = await connection.query<{ rank: number }>(tablesQuestion(names, "along-the-path"));
  const ranks = new Set(rows.map(({ rank }) => rank));
  return new Set(tables.filter((_table, index) => ranks.has(index + 1)));
}

function isGone({ table: { schema, name } }: MadeTable, gone: readonly string[]): boolean {
  const bare = schema === null || schema === "public";
  return gone.includes(`${schema ?? "public"}.${name}`) || (bare && gone.includes(name));
}

function display({ schema, name }: ObjectName): string {
  return schema === null || schema === "public" ? name : `${schema}.${name}`;
}

function listed(tables: readonly MadeTable[]): string {
  const shown = tables.slice(0, MAX_NAMED).map(({ table, tag }) => `${display(table)} (${tag})`);
  const more = tables.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function mismatch(lacking: readonly MadeTable[]): MigratorError {
  const [first] = lacking;
  return new MigratorError(
    "BASELINE_MISMATCH",
    `The database lacks tables that these migrations create: ${listed(lacking)}. Nothing was written. Baseline up to an earlier migration and apply the rest with "neon-migrate up"; or, for a table that was dropped by hand or by a DO block, say so: --gone ${first === undefined ? "TABLE" : display(first.table)}.`,
    first === undefined ? {} : { migration: first.tag },
  );
}

function tooShort(early: readonly MadeTable[], to: string): Warning {
  return {
    code: "BASELINE_SHORT",
    message: `The database has tables already that migrations behind ${to} create: ${listed(early)}. If these were applied too, baseline up to them; "neon-migrate up" would fail there.`,
  };
}

/** Proposes ledger rows for those of these migrations that lack one, and the ledger itself if it is missing. */
export function baseline(wanted: readonly Migration[], here: Here): readonly Change[] {
  const { ledger, role, matching } = here;
  const missing = wanted.filter((migration) => !matching.rowOf.has(migration));
  if (missing.length === 0) return [];
  const target = chooseWritePlace(ledger, role);
  const create = createLedgerStatements(target).map((text) => ({ text }));
  const creation: Change = {
    migration: null,
    summary: `create the ledger ${quotePlace(target.place)}`,
    sendings: create,
    tables: [target.place],
    // The rows in it are looked for.
    stands: () => true,
  };
  return [
    ...(create.length === 0 ? [] : [creation]),
    ...missing.map((migration) => insertApplied(migration, here)),
  ];
}

/** Proposes the ledger row of a migration, and the end of its checkpoint. */
export function insertApplied(migration: Migration, { ledger, role }: Here): Change {
  const target = chooseWritePlace(ledger, role);
  const checkpoint = findCheckpoint(ledger.checkpoints, migration);
  const row = ledgerRowInsert(target, migration);
  const insert = `insert ${migration.tag} into ${quotePlace(target.place)} as applied`;
  if (checkpoint === undefined) {
    return {
      ...{ migration: migration.tag, summary: insert, sendings: [row], tables: [target.place] },
      stands: (now) => hasRow(now, migration),
    };
  }
  const total = migration.statements.length;
  return {
    migration: migration.tag,
    summary: `${insert}, and delete its checkpoint (${checkpoint.done} of ${total} statements were done)`,
    sendings: [row, checkpointDelete(target.place, migration, checkpoint)],
    tables: [target.place, checkpointPlace(target.place)],
    stands: (now) => hasRow(now, migration) && hasNoCheckpoint(now, migration.tag, checkpoint.tag),
  };
}
