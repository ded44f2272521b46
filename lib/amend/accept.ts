import type { Migration } from "../bundle/bundle.ts";
import { MigratorError } from "../errors.ts";
import {
  type Checkpoint,
  checkpointOf,
  checkpointPlace,
  checkpointUpsert,
  editedStatements,
  findCheckpoint,
} from "../ledger/checkpoints.ts";
import type { Ledger, LedgerRow } from "../ledger/ledger.ts";
import { quotePlace } from "../ledger/place.ts";
import type { Matching } from "../plan/match.ts";
import { type Change, type Content, type Here, hasCheckpoint } from "./changes.ts";

/**
 * Proposes to take the file of a migration as it is now, in its ledger row or in its checkpoint.
 * @throws MigratorError `REQUEST_INVALID` for a pending migration, and as `refuseShorter`
 */
export function accept(migration: Migration, { ledger, matching }: Here): readonly Change[] {
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

/**
 * Proposes the new hash for a row, and for the rows that repeat it: alone they would belong to no migration any more.
 */
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
    text: `update ${quotePlace(place)} set hash = $1::pg_catalog.text where id operator(pg_catalog.=) any ($2::int[])`,
    values: [hash, `{${ids.join(",")}}`],
  };
  const stands = (now: Content) =>
    now.rows.filter((each) => ids.includes(each.id) && each.hash === hash).length === ids.length;
  return [{ migration: tag, summary, sendings: [sending], tables: [place], stands }];
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
  const now = checkpointOf(migration, done, running, before);
  return [
    {
      migration: tag,
      summary: `update the checkpoint of ${tag}: its first ${done} statements count as run as they are in the file now`,
      sendings: [checkpointUpsert(place, now)],
      tables: [checkpointPlace(place)],
      stands: (content) => hasCheckpoint(content, now),
    },
  ];
}

/**
 * Refuses a file that has fewer statements than were begun.
 * @throws MigratorError `REQUEST_INVALID`
 */
export function refuseShorter({ tag, statements }: Migration, { done, running }: Checkpoint): void {
  const begun = running === null ? done : running + 1;
  if (statements.length >= begun) return;
  throw new MigratorError(
    "REQUEST_INVALID",
    `${begun} statements of ${tag} have been begun, and the file has only ${statements.length} now. Restore the statements that have run. Nothing was written.`,
    { migration: tag },
  );
}
