import type { Bundle } from "../bundle/bundle.ts";
import { isCosmeticEdit } from "../bundle/cosmetic-edit.ts";
import { editedStatements } from "../ledger/checkpoints.ts";
import type { Matching } from "./match.ts";
import type { Drift, PlannedMigration } from "./plan.ts";

/**
 * Finds the disagreements between bundle and ledger.
 * @param newest time of the newest applied migration, in epoch ms
 */
export function findDrift(
  { migrations }: Bundle,
  matching: Matching,
  pending: readonly PlannedMigration[],
  newest: number,
): Drift {
  const modified = migrations.flatMap((migration) => {
    const row = matching.rowOf.get(migration);
    if (row === undefined || row.hash === migration.hash) return [];
    if (isCosmeticEdit(migration, row.hash)) return [];
    return [{ tag: migration.tag, ledgerHash: row.hash, bundleHash: migration.hash }];
  });
  const edited = pending.filter(isEdited).map(({ migration: { tag, hash }, checkpoint }) => ({
    tag,
    ledgerHash: checkpoint?.hash ?? "",
    bundleHash: hash,
  }));
  return {
    modified: [...modified, ...edited],
    unknown: matching.unknown.map(({ hash, when, name }) => ({ hash, when, name })),
    outOfOrder: pending
      .map(({ migration }) => migration)
      .filter(({ when }) => when < newest)
      .map(({ tag, hash, when }) => ({ tag, hash, when })),
  };
}

/** Whether a statement that has run was changed since. Statements that have not run may be edited freely. */
export function isEdited({ migration, checkpoint }: PlannedMigration): boolean {
  return checkpoint !== null && editedStatements(migration, checkpoint) !== null;
}
