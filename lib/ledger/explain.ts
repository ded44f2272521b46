import { type Bundle, countStatements, type Migration } from "../bundle/bundle.ts";
import { variantHashes } from "../bundle/cosmetic-edit.ts";
import type { Checkpoint } from "./checkpoints.ts";
import type { Ledger, LedgerRow } from "./ledger.ts";

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
  const texts = migrations.filter((each) => countStatements(each) > 0);
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

/**
 * Finds the migration that a checkpoint is about. Its tag decides. Its name decides only where the layout was changed since, no
 * migration has that tag, and a single one has that name. In the layout 1.0 the tag is the name; in 0.x files of the same
 * second may share a name.
 */
export function begunBy(
  { tag, name }: Pick<Checkpoint, "tag" | "name">,
  { migrations }: Explaining,
): Migration | undefined {
  const byTag = migrations.find((each) => each.tag === tag);
  if (byTag !== undefined) return byTag;
  const isOtherLayout = (each: Migration) => each.tag === each.name || tag === name;
  const [byName, ...others] = migrations.filter(
    (each) => each.name === name && isOtherLayout(each),
  );
  return others.length === 0 ? byName : undefined;
}

/** Takes the names out of the checkpoints whose names do not identify a migration. */
export function identified(ledger: Ledger, bundle: Explaining): Ledger {
  if (ledger.checkpoints.length === 0) return ledger;
  const { migrations } = bundle;
  const checkpoints = ledger.checkpoints.map((each) => {
    const isTagged = migrations.some(({ tag }) => tag === each.tag);
    return isTagged || begunBy(each, bundle) === undefined ? { ...each, name: "" } : each;
  });
  return { ...ledger, checkpoints };
}
