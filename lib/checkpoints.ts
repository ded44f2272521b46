import { DIGEST_LENGTH, type Migration } from "./bundle.ts";
import type { LedgerPlace } from "./config.ts";
import type { Sending } from "./pipeline.ts";
import { quotePlace } from "./quote.ts";

/** How far a migration came that cannot be rolled back as a whole. */
export interface Checkpoint {
  readonly tag: string;
  /** What a 1.0 ledger calls the migration: `drizzle-kit up` changes tags, and not this. */
  readonly name: string;
  /** Of the file when this was written, as in the ledger. */
  readonly hash: string;
  /** How many statements are done. */
  readonly done: number;
  /**
   * One digest for each of them, concatenated; and one more for the statement that was begun, where its
   * outcome can be found in the catalog.
   */
  readonly digests: string;
  /** Index of the statement that was begun outside a transaction; null when none is. */
  readonly running: number | null;
  /** For an index without a name: object ids of the indexes that its table had before. */
  readonly before: readonly number[] | null;
}

/** The table of checkpoints stands beside the ledger. PostgreSQL cuts names at 63 bytes. */
export function checkpointPlace({ schema, table }: LedgerPlace): LedgerPlace {
  return { schema, table: `${table.slice(0, 50)}_checkpoints` };
}

/** What creates the table. `if not exists` would ask for the right to create even where it exists. */
export function createCheckpoints(ledger: LedgerPlace): string {
  return `
    create table ${quotePlace(checkpointPlace(ledger))} (
      tag text primary key,
      name text not null,
      hash text not null,
      done integer not null,
      digests text not null,
      running integer,
      before jsonb,
      updated_at timestamp with time zone not null default now()
    )
  `;
}

/** What a checkpoint of a migration looks like after `done` statements. */
export function checkpointOf(
  migration: Migration,
  done: number,
  running: number | null,
  before: readonly number[] | null = null,
): Checkpoint {
  const { tag, name, hash } = migration;
  const effect = running === null ? null : (migration.statements[running]?.effect ?? null);
  const findable = effect !== null && effect.kind !== "unknown";
  const digests = digestsOf(migration, findable ? done + 1 : done);
  return { tag, name, hash, done, digests, running, before };
}

/**
 * The statement in which an earlier run stopped, by its index; null where none did, or where another
 * statement stands in its place now: what has not run may be edited.
 */
export function interruptedStatement(
  migration: Migration,
  checkpoint: Checkpoint | null | undefined,
): number | null {
  const { running, done, digests } = checkpoint ?? { running: null, done: 0, digests: "" };
  if (running === null) return null;
  const was = digests.slice(done * DIGEST_LENGTH);
  const is = digestsOf(migration, done + 1).slice(done * DIGEST_LENGTH);
  return was === "" || was === is ? running : null;
}

/** What writes a checkpoint over the one before it. */
export function checkpointUpsert(ledger: LedgerPlace, checkpoint: Checkpoint): Sending {
  const { tag, name, hash, done, digests, running, before } = checkpoint;
  return {
    text: `
      insert into ${quotePlace(checkpointPlace(ledger))} as c (tag, name, hash, done, digests, running, before)
      values ($1::text, $2::text, $3::text, $4::int, $5::text, nullif($6::int, -1), $7::jsonb)
      on conflict (tag) do update set
        name = excluded.name, hash = excluded.hash, done = excluded.done, digests = excluded.digests,
        running = excluded.running, before = excluded.before, updated_at = now()
    `,
    values: [tag, name, hash, String(done), digests, String(running ?? -1), JSON.stringify(before)],
  };
}

/** What removes the checkpoint of a migration that is complete. */
export function checkpointDelete(
  ledger: LedgerPlace,
  { tag, name }: Pick<Migration, "tag" | "name">,
): Sending {
  return {
    text: `delete from ${quotePlace(checkpointPlace(ledger))} where tag = $1::text or name = $2::text`,
    values: [tag, name],
  };
}

/** The checkpoint of a migration, by its tag, or by its name where the layout was changed meanwhile. */
export function findCheckpoint(
  checkpoints: readonly Checkpoint[],
  { tag, name }: Migration,
): Checkpoint | undefined {
  const byTag = checkpoints.find((each) => each.tag === tag);
  return byTag ?? checkpoints.find((each) => each.name === name);
}

/**
 * The first statement that was run and is no longer what it was, comments and blanks apart.
 * @returns its index from 0, or null when all that has run stands unchanged at the head of the file
 */
export function editedStatement(
  migration: Migration,
  { done, digests }: Checkpoint,
): number | null {
  const present = digestsOf(migration, done);
  for (let index = 0; index < done; index += 1) {
    const at = index * DIGEST_LENGTH;
    const was = digests.slice(at, at + DIGEST_LENGTH);
    if (present.slice(at, at + DIGEST_LENGTH) !== was) return index;
  }
  return null;
}

function digestsOf({ statements }: Migration, done: number): string {
  return statements
    .slice(0, done)
    .map(({ digest }) => digest)
    .join("");
}
