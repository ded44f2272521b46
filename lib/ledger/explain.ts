import type { Bundle } from "../bundle/bundle.ts";
import { variantHashes } from "../bundle/cosmetic-edit.ts";
import type { Checkpoint } from "./checkpoints.ts";
import type { LedgerRow } from "./ledger.ts";

/** The migrations that can explain a row. */
export type Explaining = Pick<Bundle, "migrations">;

/**
 * Returns the rows that a migration of the bundle explains, by its text or by its name in a 1.0 ledger. A migration
 * without a statement explains nothing by its text: every project has such ones.
 */
export function explainedRows(
  rows: readonly LedgerRow[],
  { migrations }: Explaining,
): readonly LedgerRow[] {
  const texts = migrations.filter(({ statements }) => statements.length > 0);
  const hashes = new Set(texts.map(({ hash }) => hash));
  const edited = rows.every(({ hash }) => hashes.has(hash))
    ? new Set()
    : new Set(texts.flatMap((each) => [...(each.sameAs ?? []), ...variantHashes(each)]));
  const names = new Set(migrations.map(({ name }) => name));
  const timed = new Set(migrations.map(({ when, hash }) => `${when} ${hash}`));
  return rows.filter(
    ({ hash, when, name }) =>
      hashes.has(hash) ||
      timed.has(`${when} ${hash}`) ||
      (name !== null && names.has(name)) ||
      edited.has(hash),
  );
}

/** Whether a checkpoint is about a migration of the bundle. */
export function isBegun({ tag, name }: Checkpoint, { migrations }: Explaining): boolean {
  return migrations.some((each) => each.tag === tag || each.name === name);
}
