import { createHash } from "node:crypto";
import { DIGEST_LENGTH, type Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import type { LedgerPlace } from "../target/target.ts";
import { placeBeside, quotePlace } from "./place.ts";

/** The progress of a migration that cannot be rolled back as a whole. */
export interface Checkpoint {
  readonly tag: string;
  /** Name of the migration in a 1.0 ledger. `drizzle-kit up` changes tags, but not this name. */
  readonly name: string;
  /** Hash of the file when this was written, as in the ledger. */
  readonly hash: string;
  /** Number of statements that are done. */
  readonly done: number;
  /**
   * The digests of these statements, concatenated: one for each whole block of them, and one for each statement
   * behind the last block. One more follows for a statement that was begun and whose outcome the catalog can tell.
   * Earlier versions wrote a digest for every statement.
   */
  readonly digests: string;
  /** Index of the statement that was begun outside a transaction; null without one. */
  readonly running: number | null;
  /** What the database had before that statement, or what it left when the server refused it; null: nothing to know. */
  readonly before: Before | null;
}

/** The facts by which a later run tells the traces of a statement outside transactions from everything else. */
export interface Before {
  /** The objects that were there: the indexes of its table, or the thing that it makes or drops. Each by its object id. */
  readonly there?: readonly number[];
  /** Object ids of the indexes that are the statement's own, and have to go where they are INVALID. */
  readonly left?: readonly number[];
  /** The object id of the table of the index that it builds. */
  readonly table?: number;
  /** The name of that index; null for one without a name of its own. */
  readonly index?: string | null;
  readonly wanted?: WantedIndex;
}

/** An index as a statement wants it. */
export interface WantedIndex {
  readonly unique: boolean;
  /** The part of the statement behind the table: method, keys, predicate and all else. */
  readonly definition: string;
}

/**
 * Number of statements that share one digest. A checkpoint is written for each statement. If it grew with every
 * statement, a file of thousands would cost megabytes of write-ahead log.
 */
const BLOCK = 64;

/** Returns the place of the table of checkpoints, beside the ledger. */
export function checkpointPlace(ledger: LedgerPlace): LedgerPlace {
  return placeBeside(ledger, "checkpoints");
}

/**
 * Returns the statement that creates the table. `if not exists` would need the right to create even where the table
 * exists.
 */
export function createCheckpoints(ledger: LedgerPlace): string {
  return `
    create table ${quotePlace(checkpointPlace(ledger))} (
      tag pg_catalog.text primary key,
      name pg_catalog.text not null,
      hash pg_catalog.text not null,
      done integer not null,
      digests pg_catalog.text not null,
      running integer,
      before pg_catalog.jsonb,
      updated_at timestamp with time zone not null default pg_catalog.now()
    )
  `;
}

/** Makes the checkpoint of a migration after `done` statements. */
export function checkpointOf(
  migration: Migration,
  done: number,
  running: number | null,
  before: Before | null = null,
): Checkpoint {
  const { tag, name, hash } = migration;
  const effect = running === null ? null : (migration.statements[running]?.effect ?? null);
  const findable = effect !== null && effect.kind !== "unknown";
  const begun = findable ? digestOf(migration, done, 1) : "";
  const digests = rangesOf(done, BLOCK).map(({ from, size }) => digestOf(migration, from, size));
  return { tag, name, hash, done, digests: digests.join("") + begun, running, before };
}

/**
 * Returns the index of the statement in which an earlier run stopped. Null when no run did, or when another statement
 * stands in its place now: statements that have not run may be edited.
 */
export function interruptedStatement(
  migration: Migration,
  checkpoint: Checkpoint | null | undefined,
): number | null {
  if (checkpoint === null || checkpoint === undefined) return null;
  const { running, done, digests } = checkpoint;
  const was = digests.slice(rangesOf(done, blockOf(checkpoint)).length * DIGEST_LENGTH);
  return was === "" || was === digestOf(migration, done, 1) ? running : null;
}

/** Returns the statement that writes a checkpoint over the one before it. */
export function checkpointUpsert(ledger: LedgerPlace, checkpoint: Checkpoint): Sending {
  const { tag, name, hash, done, digests, running, before } = checkpoint;
  return {
    text: `
      insert into ${quotePlace(checkpointPlace(ledger))} as c (tag, name, hash, done, digests, running, before)
      values ($1::pg_catalog.text, $2::pg_catalog.text, $3::pg_catalog.text, $4::int, $5::pg_catalog.text,
        case when $6::int operator(pg_catalog.>=) 0 then $6 end, $7::pg_catalog.jsonb)
      on conflict (tag) do update set
        name = excluded.name, hash = excluded.hash, done = excluded.done, digests = excluded.digests,
        running = excluded.running, before = excluded.before, updated_at = pg_catalog.now()
    `,
    values: [tag, name, hash, String(done), digests, String(running ?? -1), JSON.stringify(before)],
  };
}

/**
 * Returns the statement that removes the checkpoint of a migration.
 * @param was the checkpoint that the migration had: `drizzle-kit up` may have changed its tag since
 */
export function checkpointDelete(
  ledger: LedgerPlace,
  { tag }: Pick<Migration, "tag">,
  was?: Pick<Checkpoint, "tag">,
): Sending {
  return {
    text: `delete from ${quotePlace(checkpointPlace(ledger))} where tag operator(pg_catalog.=) any (array[$1::pg_catalog.text, $2::pg_catalog.text])`,
    values: [tag, was?.tag ?? tag],
  };
}

/**
 * Finds the checkpoint of a migration by its tag, or by its name if the layout was changed meanwhile. The ledger keeps only
 * names that identify a migration; see `identified`.
 */
export function findCheckpoint(
  checkpoints: readonly Checkpoint[],
  { tag, name }: Migration,
): Checkpoint | undefined {
  const byTag = checkpoints.find((each) => each.tag === tag);
  return byTag ?? checkpoints.find((each) => each.name === name);
}

/** Consecutive statements, by the index of the first. */
interface Range {
  readonly from: number;
  readonly size: number;
}

/**
 * Finds the first statement that has run and was changed since, comments and blanks apart.
 * @returns the statement, as near as it is known; null when all statements that have run stand unchanged at the head
 *   of the file
 */
export function editedStatements(migration: Migration, checkpoint: Checkpoint): Range | null {
  const ranges = rangesOf(checkpoint.done, blockOf(checkpoint));
  const edited = ranges.find(({ from, size }, index) => {
    const was = checkpoint.digests.slice(index * DIGEST_LENGTH, (index + 1) * DIGEST_LENGTH);
    return digestOf(migration, from, size) !== was;
  });
  return edited ?? null;
}

/** Names the range as a singular phrase, for a message. */
export function nameOf({ from, size }: Range): string {
  return size === 1 ? `statement ${from + 1}` : `one of statements ${from + 1} to ${from + size}`;
}

/** Returns the number of statements that share a digest. Earlier versions wrote one for each statement. */
function blockOf({ done, digests }: Checkpoint): number {
  return digests.length < done * DIGEST_LENGTH ? BLOCK : 1;
}

/** Returns the statements that each digest of a checkpoint stands for. */
function rangesOf(done: number, block: number): readonly Range[] {
  const whole = Math.floor(done / block);
  return Array.from({ length: whole + (done % block) }, (_, index) =>
    index < whole
      ? { from: index * block, size: block }
      : { from: whole * (block - 1) + index, size: 1 },
  );
}

/** Returns the bundle's digest of a single statement, or the digest of all digests of a block. */
function digestOf({ statements }: Migration, from: number, size: number): string {
  const digests = statements.slice(from, from + size).map(({ digest }) => digest);
  if (digests.length < 2) return digests.join("");
  return createHash("sha256").update(digests.join("")).digest("hex").slice(0, DIGEST_LENGTH);
}
