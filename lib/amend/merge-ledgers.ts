import type { Bundle, Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import { MigratorError } from "../errors.ts";
import {
  type Checkpoint,
  checkpointDelete,
  checkpointPlace,
  checkpointUpsert,
  createCheckpoints,
} from "../ledger/checkpoints.ts";
import { begunBy } from "../ledger/explain.ts";
import {
  chooseHome,
  chooseWritePlace,
  isWritten,
  ownRows,
  type WritePlace,
} from "../ledger/home.ts";
import type { FoundLedger, LedgerRow } from "../ledger/ledger.ts";
import { quotePlace } from "../ledger/place.ts";
import type { Places } from "../ledger/read.ts";
import { type Matching, matchRows } from "../plan/match.ts";
import { quoteIdentifier } from "../postgres/names.ts";
import {
  type Change,
  type Content,
  hasCheckpoint,
  hasNoCheckpoint,
  hasRow,
  type Proposal,
} from "./changes.ts";

/** Two ledgers that both hold rows or checkpoints, each matched with the bundle. */
interface Merge {
  readonly into: FoundLedger;
  readonly from: FoundLedger;
  readonly intoMatching: Matching;
  readonly fromMatching: Matching;
  readonly target: WritePlace;
}

/**
 * Makes one ledger of two. Rows that only the other ledger has go to the configured place. Then exactly the rows that
 * were read are deleted from the other ledger. A migration that both have keeps the row of the configured place.
 * @throws MigratorError `REQUEST_INVALID` for a row whose 1.0 name nobody knows, `LEDGER_SPLIT` for checkpoints that
 *   contradict each other, and as `chooseWritePlace`
 */
export function mergeLedgers(bundle: Bundle, { homes, found }: Places, role: string): Proposal {
  const [into, other] = found.filter(isWritten);
  // Rows that the folder does not explain may be another project's: they stay where they are.
  const from = other && {
    ...other,
    rows: ownRows(other),
    checkpoints: other.checkpoints.filter((each) => begunBy(each, bundle) !== undefined),
  };
  const ledger = chooseHome(homes, into === undefined ? found : [into], bundle.layout);
  const facts = { ...ledger.place, format: ledger.format };
  if (into === undefined || other === undefined || from === undefined) {
    return { changes: [], ledger: facts, warnings: ledger.warnings };
  }
  const merge: Merge = {
    into,
    from,
    intoMatching: matchRows(bundle, into.rows),
    fromMatching: matchRows(bundle, from.rows),
    target: chooseWritePlace(ledger, role),
  };
  const checkpoints = mergeCheckpoints(bundle, merge);
  const changes = [
    ...mergeRows(merge),
    ...checkpoints,
    ...emptied(from),
    ...staying(from, other.rows.length - from.rows.length),
  ];
  return { changes, ledger: facts, warnings: [] };
}

/** Copies rows in the order of their times, as if they had been written where they belong. */
function mergeRows(merge: Merge): readonly Change[] {
  const { into, from, intoMatching, fromMatching } = merge;
  const migrationOf = new Map(
    Array.from(fromMatching.rowOf, ([migration, row]) => [row, migration]),
  );
  const named = [into, from].every(({ home }) => home.columns.includes("name"));
  // Two migrations of the 1.0 layout can have equal times and hashes.
  const keyOf = ({ when, hash, name }: LedgerRow) =>
    JSON.stringify([when, hash, named ? name : null]);
  const kept = new Set(into.rows.map(keyOf));
  return from.rows
    .toSorted((one, other) => (one.when ?? 0) - (other.when ?? 0) || one.id - other.id)
    .flatMap((row) => {
      const migration = migrationOf.get(row);
      const twin = migration && intoMatching.rowOf.get(migration);
      if (migration !== undefined && twin !== undefined)
        return leftOut(merge, migration, row, twin);
      const repeated = kept.has(keyOf(row));
      kept.add(keyOf(row));
      return repeated && migration === undefined ? [] : [copied(merge, migration, row)];
    });
}

/** The part of a change that is told to a person, and changes nothing. */
const NO_CHANGE = { sendings: [], tables: [], stands: () => true };

/** Reports a row that is left out although its hash differs from the one that stays: a person has to know. */
function leftOut(
  { into, from }: Merge,
  { tag }: Migration,
  row: LedgerRow,
  twin: LedgerRow,
): readonly Change[] {
  if (row.hash === twin.hash) return [];
  const summary = `leave out ${tag}, row ${row.id} of ${quotePlace(from.home)} with hash ${row.hash}: ${quotePlace(into.home)} has it with hash ${twin.hash}`;
  return [{ migration: tag, summary, ...NO_CHANGE }];
}

function copied(merge: Merge, migration: Migration | undefined, row: LedgerRow): Change {
  const { from, target } = merge;
  const name = row.name ?? migration?.name ?? null;
  if (target.format === "1.0" && name === null) throw nameless(merge, row);
  const what = migration?.tag ?? row.name ?? `hash ${row.hash}, which the folder does not know`;
  return {
    migration: migration?.tag ?? null,
    summary: `insert row ${row.id} of ${quotePlace(from.home)} into ${quotePlace(target.place)}: ${what}`,
    sendings: [copyRow(merge, row, name)],
    tables: [target.place, from.home],
    stands: (now) => hasRow(now, row),
  };
}

/** Copies a row on the server, so that nothing of it is lost on the way. */
function copyRow({ into, from, target }: Merge, { id }: LedgerRow, name: string | null): Sending {
  const named = into.home.columns.includes("name");
  const dated = into.home.columns.includes("applied_at");
  // Drizzle 1.0 itself writes null where it takes a row over from the 0.x format.
  const appliedAt = from.home.columns.includes("applied_at") ? "applied_at" : "null";
  const columns = ["hash", "created_at", ...(named ? ["name"] : [])].map(quoteIdentifier);
  const values = ["hash", "created_at", ...(named ? ["$2::pg_catalog.text"] : [])];
  return {
    text: `
      insert into ${quotePlace(target.place)} (${[...columns, ...(dated ? ["applied_at"] : [])].join(", ")})
      select ${[...values, ...(dated ? [appliedAt] : [])].join(", ")} from ${quotePlace(from.home)} where id operator(pg_catalog.=) $1::int
    `,
    values: [String(id), ...(named ? [name ?? ""] : [])],
  };
}

/** Reports the rows that stay in the other ledger. */
function staying({ home }: FoundLedger, count: number): readonly Change[] {
  if (count === 0) return [];
  const rows = count === 1 ? "1 row" : `${count} rows`;
  const summary = `leave ${rows} in ${quotePlace(home)}: no migration of this folder explains them, they may be another project's`;
  return [{ migration: null, summary, ...NO_CHANGE }];
}

/** Deletes rows by id: a row that another tool writes meanwhile must not be lost. */
function emptied({ home, rows, checkpoints }: FoundLedger): readonly Change[] {
  const count = rows.length === 1 ? "the 1 row" : `the ${rows.length} rows`;
  const ids = rows.map(({ id }) => id);
  const sending = {
    text: `delete from ${quotePlace(home)} where id operator(pg_catalog.=) any ($1::int[])`,
    values: [`{${ids.join(",")}}`],
  };
  const deletion: Change = {
    migration: null,
    summary: `delete ${count} of ${quotePlace(home)}`,
    sendings: [sending],
    tables: [home],
    stands: (now) => !now.rows.some(({ id }) => ids.includes(id)),
  };
  const place = checkpointPlace(home);
  const forgotten = checkpoints.map((checkpoint) => ({
    migration: checkpoint.tag,
    summary: `delete the checkpoint of ${checkpoint.tag} in ${quotePlace(place)}`,
    sendings: [checkpointDelete(home, checkpoint)],
    tables: [place],
    stands: (now: Content) => hasNoCheckpoint(now, checkpoint.tag),
  }));
  return [...(rows.length === 0 ? [] : [deletion]), ...forgotten];
}

/**
 * Moves the checkpoints of half-applied migrations. A checkpoint counts only if neither ledger has its migration as
 * applied.
 */
function mergeCheckpoints(bundle: Bundle, merge: Merge): readonly Change[] {
  const { into, from, target } = merge;
  const place = checkpointPlace(target.place);
  const open = from.checkpoints.filter((each) => !isComplete(bundle, merge, each));
  const moved = open.filter((each) => {
    const twin = into.checkpoints.find((other) => begunBy(other, bundle) === begunBy(each, bundle));
    if (twin !== undefined && !same(twin, each)) throw contradicting(merge, each, twin);
    return twin === undefined;
  });
  const create = into.home.checkpointsExist ? [] : [{ text: createCheckpoints(target.place) }];
  return [
    ...moved.map((checkpoint, index) => ({
      migration: checkpoint.tag,
      summary: `insert the checkpoint of ${checkpoint.tag} into ${quotePlace(place)}: ${checkpoint.done === 1 ? "1 statement is" : `${checkpoint.done} statements are`} done`,
      sendings: [...(index === 0 ? create : []), checkpointUpsert(target.place, checkpoint)],
      tables: [place],
      stands: (now: Content) => hasCheckpoint(now, checkpoint),
    })),
    ...into.checkpoints
      .filter((each) => isComplete(bundle, merge, each))
      .map((checkpoint) => ({
        migration: checkpoint.tag,
        summary: `delete the checkpoint of ${checkpoint.tag} in ${quotePlace(place)}: a ledger has it as applied`,
        sendings: [checkpointDelete(target.place, checkpoint)],
        tables: [place],
        stands: (now: Content) => hasNoCheckpoint(now, checkpoint.tag),
      })),
  ];
}

function isComplete(
  bundle: Bundle,
  { intoMatching, fromMatching }: Merge,
  checkpoint: Checkpoint,
): boolean {
  const migration = begunBy(checkpoint, bundle);
  if (migration === undefined) return false;
  return intoMatching.rowOf.has(migration) || fromMatching.rowOf.has(migration);
}

function same(one: Checkpoint, other: Checkpoint): boolean {
  return one.done === other.done && one.running === other.running && one.digests === other.digests;
}

function nameless({ from, target }: Merge, { id, hash }: LedgerRow): MigratorError {
  return new MigratorError(
    "REQUEST_INVALID",
    `Row ${id} of ${quotePlace(from.home)} (hash ${hash.slice(0, 12)}…) belongs to no migration of this folder, and ${quotePlace(target.place)} needs a name for it, without which Drizzle 1.0 would run it again. Merge with the folder that has this migration. Nothing was written.`,
  );
}

function contradicting({ into, from }: Merge, one: Checkpoint, other: Checkpoint): MigratorError {
  const [first, second] = [into, from].map(({ home }) => quotePlace(checkpointPlace(home)));
  return new MigratorError(
    "LEDGER_SPLIT",
    `Migration ${one.tag} is half applied, and ${first} says that ${other.done} of its statements are done, ${second} that ${one.done} are. Look how far it came, delete the row of the wrong one by hand, and repeat. Nothing was written.`,
    { migration: one.tag },
  );
}
