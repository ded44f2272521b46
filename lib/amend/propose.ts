import type { Bundle, Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import { MigratorError, type Warning } from "../errors.ts";
import {
  type Checkpoint,
  checkpointDelete,
  checkpointOf,
  checkpointPlace,
  checkpointUpsert,
  editedStatements,
  findCheckpoint,
  nameOf,
} from "../ledger/checkpoints.ts";
import { chooseHome, chooseWritePlace } from "../ledger/home.ts";
import type { Ledger, LedgerFacts, LedgerRow } from "../ledger/ledger.ts";
import { quotePlace } from "../ledger/place.ts";
import type { Places } from "../ledger/read.ts";
import { createLedgerStatements, ledgerRowInsert } from "../ledger/write.ts";
import { type Matching, matchRows } from "../plan/match.ts";
import type { LedgerPlace } from "../target/target.ts";
import { mergeLedgers } from "./merge-ledgers.ts";

/** What somebody asks to have put right in a ledger. */
export type AmendmentRequest =
  | {
      readonly kind: "baseline";
      readonly to: string;
      /** Tables that were dropped by other means than a migration, as `name` or `schema.name`. */
      readonly gone?: readonly string[];
    }
  | { readonly kind: "accept"; readonly tag: string }
  | { readonly kind: "resolve"; readonly tag: string; readonly as: "done" | "undone" }
  | { readonly kind: "merge-ledgers" };

/** One change to a ledger, for a person to look at before it is made. */
export interface Change {
  /** Tag of the migration that it is about; null where it is about none of the folder. */
  readonly migration: string | null;
  /** What it does, in one line. */
  readonly summary: string;
  readonly sendings: readonly Sending[];
  /** The tables that it writes. */
  readonly tables: readonly LedgerPlace[];
}

/** Everything that would be written, in order. */
export interface Proposal {
  /** Empty where everything is as it should be. */
  readonly changes: readonly Change[];
  /** The ledger that counts once this is written. */
  readonly ledger: LedgerFacts;
  readonly warnings: readonly Warning[];
}

/**
 * What would be written. Pure. Nothing of it touches anything but the ledger and its checkpoints.
 * @param role for the GRANTs in an error
 * @throws MigratorError `REQUEST_INVALID` for what cannot be done, `MODIFIED` where what is to be resolved
 *   was edited, and as `chooseHome`, `chooseWritePlace`
 */
export function proposeChanges(
  request: AmendmentRequest,
  bundle: Bundle,
  places: Places,
  role: string,
): Proposal {
  if (request.kind === "merge-ledgers") return mergeLedgers(bundle, places, role);
  const ledger = chooseHome(places.homes, places.found, bundle.layout);
  const matching = matchRows(bundle, ledger.rows);
  const here: Here = { ledger, role, matching };
  const changes = propose(request, bundle, here);
  const creates = request.kind === "baseline" && changes.length > 0;
  const place = creates ? chooseWritePlace(ledger, role).place : ledger.place;
  return {
    changes,
    ledger: { ...place, format: ledger.format },
    warnings: [...ledger.warnings, ...matching.warnings],
  };
}

/** The ledger, and what it says about the bundle. */
interface Here {
  readonly ledger: Ledger;
  readonly role: string;
  readonly matching: Matching;
}

function propose(
  request: Exclude<AmendmentRequest, { readonly kind: "merge-ledgers" }>,
  bundle: Bundle,
  here: Here,
): readonly Change[] {
  switch (request.kind) {
    case "baseline":
      return baseline(upTo(bundle, request.to), here);
    case "accept":
      return accept(find(bundle, request.tag), here);
    case "resolve":
      return resolve(find(bundle, request.tag), here, request.as);
  }
}

/**
 * The migrations up to and including one of them.
 * @throws MigratorError `REQUEST_INVALID` where there is none of that tag
 */
export function upTo(bundle: Bundle, tag: string): readonly Migration[] {
  const last = find(bundle, tag);
  return bundle.migrations.slice(0, bundle.migrations.indexOf(last) + 1);
}

function find({ migrations }: Bundle, tag: string): Migration {
  const migration = migrations.find((each) => each.tag === tag);
  if (migration !== undefined) return migration;
  const last = migrations.slice(-5).map((each) => each.tag);
  throw new MigratorError(
    "REQUEST_INVALID",
    `The folder has no migration ${JSON.stringify(tag)}. ${last.length === 0 ? "It has none at all." : `Its last ones are ${last.join(", ")}.`}`,
  );
}

function baseline(wanted: readonly Migration[], here: Here): readonly Change[] {
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
  };
  return [
    ...(create.length === 0 ? [] : [creation]),
    ...missing.map((migration) => insertApplied(migration, here)),
  ];
}

/** Counts a migration as applied, and forgets how far it came. */
function insertApplied(migration: Migration, { ledger, role }: Here): Change {
  const target = chooseWritePlace(ledger, role);
  const checkpoint = findCheckpoint(ledger.checkpoints, migration);
  const row = ledgerRowInsert(target, migration);
  const insert = `insert ${migration.tag} into ${quotePlace(target.place)} as applied`;
  if (checkpoint === undefined) {
    return { migration: migration.tag, summary: insert, sendings: [row], tables: [target.place] };
  }
  const total = migration.statements.length;
  return {
    migration: migration.tag,
    summary: `${insert}, and delete its checkpoint (${checkpoint.done} of ${total} statements were done)`,
    sendings: [row, checkpointDelete(target.place, migration)],
    tables: [target.place, checkpointPlace(target.place)],
  };
}

function accept(migration: Migration, { ledger, matching }: Here): readonly Change[] {
  const row = matching.rowOf.get(migration);
  if (row !== undefined) return acceptRow(migration, row, ledger, matching);
  const checkpoint = findCheckpoint(ledger.checkpoints, migration);
  if (checkpoint !== undefined) return acceptCheckpoint(migration, checkpoint, ledger);
  throw new MigratorError(
    "REQUEST_INVALID",
    `Migration ${migration.tag} is pending, so there is nothing to accept. To count it as applied without running it: "neon-migrate baseline --to ${migration.tag}".`,
    { migration: migration.tag },
  );
}

/** Rows that repeat this one change with it: alone they would belong to no migration any more. */
function acceptRow(
  { tag, hash }: Migration,
  row: LedgerRow,
  { place, rows }: Ledger,
  { rowOf }: Matching,
): readonly Change[] {
  if (row.hash === hash) return [];
  const others = new Set([...rowOf.values()].filter((each) => each !== row));
  const ids = rows
    .filter((each) => each.hash === row.hash && each.when === row.when && !others.has(each))
    .map(({ id }) => id);
  const summary = `update ${tag} in ${quotePlace(place)}: hash ${row.hash} becomes ${hash}`;
  const sending = {
    text: `update ${quotePlace(place)} set hash = $1::text where id = any($2::int[])`,
    values: [hash, `{${ids.join(",")}}`],
  };
  return [{ migration: tag, summary, sendings: [sending], tables: [place] }];
}

function acceptCheckpoint(
  migration: Migration,
  checkpoint: Checkpoint,
  { place }: Ledger,
): readonly Change[] {
  if (editedStatements(migration, checkpoint) === null) return [];
  const { tag } = migration;
  const { done, running, before } = checkpoint;
  refuseShorter(migration, checkpoint);
  return [
    {
      migration: tag,
      summary: `update the checkpoint of ${tag}: its first ${done} statements count as run as they are in the file now`,
      sendings: [checkpointUpsert(place, checkpointOf(migration, done, running, before))],
      tables: [checkpointPlace(place)],
    },
  ];
}

function refuseShorter({ tag, statements }: Migration, { done, running }: Checkpoint): void {
  const begun = running === null ? done : running + 1;
  if (statements.length >= begun) return;
  throw new MigratorError(
    "REQUEST_INVALID",
    `${begun} statements of ${tag} have been begun, and the file has only ${statements.length} now. Restore the statements that have run. Nothing was written.`,
    { migration: tag },
  );
}

function resolve(migration: Migration, here: Here, as: "done" | "undone"): readonly Change[] {
  const { ledger } = here;
  const checkpoint = findCheckpoint(ledger.checkpoints, migration);
  const { tag, statements } = migration;
  if (here.matching.rowOf.has(migration) || checkpoint === undefined) throw nothingInDoubt(tag);
  const running = doubtful(migration, checkpoint);
  const done = as === "done" ? running + 1 : running;
  const summary = `update the checkpoint of ${tag}: statement ${running + 1} counts as ${as === "done" ? "run" : "not run"}`;
  if (done === statements.length) return [insertApplied(migration, here)];
  return [
    {
      migration: tag,
      summary,
      sendings: [checkpointUpsert(ledger.place, checkpointOf(migration, done, null))],
      tables: [checkpointPlace(ledger.place)],
    },
  ];
}

/**
 * The statement that only a person can tell about. Where the database can tell, a false answer would do
 * harm: an INVALID index would stay for ever.
 */
function doubtful(migration: Migration, checkpoint: Checkpoint): number {
  const { tag, statements } = migration;
  const { running } = checkpoint;
  if (running === null) throw nothingInDoubt(tag);
  refuseShorter(migration, checkpoint);
  const edited = editedStatements(migration, checkpoint);
  if (edited !== null) {
    throw new MigratorError(
      "MODIFIED",
      `In ${tag} ${nameOf(edited)} has run and was changed since, so nobody knows which statement is in doubt. Restore it first, or take the file as it is with "neon-migrate repair --accept ${tag}". Nothing was written.`,
      { migration: tag },
    );
  }
  const effect = statements[running]?.effect?.kind ?? "unknown";
  if (effect !== "unknown") throw nothingInDoubt(tag);
  return running;
}

function nothingInDoubt(tag: string): MigratorError {
  return new MigratorError(
    "REQUEST_INVALID",
    `No statement of ${tag} is in doubt, so there is nothing to resolve: "neon-migrate up" finds out by itself where to go on. Nothing was written.`,
    { migration: tag },
  );
}
