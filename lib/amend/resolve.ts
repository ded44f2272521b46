import type { Migration } from "../bundle/bundle.ts";
import { MigratorError } from "../errors.ts";
import {
  type Checkpoint,
  checkpointOf,
  checkpointPlace,
  checkpointUpsert,
  editedStatements,
  findCheckpoint,
  nameOf,
} from "../ledger/checkpoints.ts";
import { refuseShorter } from "./accept.ts";
import { insertApplied } from "./baseline.ts";
import { type Change, type Here, hasCheckpoint } from "./changes.ts";

/**
 * Proposes to count a statement in doubt as done, or as undone.
 * @throws MigratorError `REQUEST_INVALID` when nothing is in doubt, `MODIFIED` when the finished part was edited
 */
export function resolve(
  migration: Migration,
  here: Here,
  as: "done" | "undone",
): readonly Change[] {
  const { ledger } = here;
  const checkpoint = findCheckpoint(ledger.checkpoints, migration);
  const { tag, statements } = migration;
  if (here.matching.rowOf.has(migration) || checkpoint === undefined) throw nothingInDoubt(tag);
  const running = doubtful(migration, checkpoint);
  const done = as === "done" ? running + 1 : running;
  const summary = `update the checkpoint of ${tag}: statement ${running + 1} counts as ${as === "done" ? "run" : "not run"}`;
  if (done === statements.length) return [insertApplied(migration, here)];
  const now = checkpointOf(migration, done, null);
  return [
    {
      migration: tag,
      summary,
      sendings: [checkpointUpsert(ledger.place, now)],
      tables: [checkpointPlace(ledger.place)],
      stands: (content) => hasCheckpoint(content, now),
    },
  ];
}

/**
 * Returns the statement that only a person can tell about. If the database can tell, a false answer would do harm: an
 * INVALID index would stay for ever.
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
