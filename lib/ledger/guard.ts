import type { Migration } from "../bundle/bundle.ts";
import type { Sending } from "../connection/pipeline.ts";
import { type ErrorFacts, MigratorError } from "../errors.ts";
import { LOCK_NOT_AVAILABLE, postgresFacts } from "../postgres/errors.ts";
import { quoteLiteral } from "../postgres/names.ts";
import type { LedgerPlace } from "../target/target.ts";
import { type Checkpoint, checkpointPlace } from "./checkpoints.ts";
import type { Ledger } from "./ledger.ts";
import { tryLocks } from "./lock.ts";
import { quotePlace } from "./place.ts";

/*
 * The guard of a transaction that writes the ledger. Its first part goes ahead of the statements, its second part
 * stands in front of the COMMIT. They travel with the transaction and cost no round trip. A guard that finds something
 * wrong raises an error, and the transaction is rolled back. The guard sees to this:
 *
 *   - The lock of the run cannot be given away. A migration can release the locks of its session (DISCARD ALL,
 *     `pg_advisory_unlock_all()`). Each transaction also holds the lock for itself, and takes the lock of the session
 *     anew at both ends.
 *   - The ledger is as the plan found it, and stays so: nobody else may write it until the COMMIT. Drizzle's own
 *     migrator knows no lock.
 *   - The rows that were written are there. A trigger, a rule, a policy or a ROLLBACK TO SAVEPOINT may take them away.
 */

/** The content of a ledger, as far as a run knows it. */
export interface Known {
  /** The number of its rows. */
  readonly rows: number;
  /** The highest id that the plan saw, and the number of rows up to it. */
  readonly seen: { readonly id: number; readonly rows: number };
  readonly checkpoints: ReadonlyMap<string, Pick<Checkpoint, "done" | "running">>;
}

/** Returns the content that the plan was made from. */
export function knownFrom({ rows, checkpoints }: Ledger): Known {
  const ids = rows.map(({ id }) => id);
  // A copy of the table may have lost its ids, and a number beyond 2^53 is not read in full.
  const numbered = ids.every((id) => id > 0 && Number.isSafeInteger(id));
  return {
    rows: rows.length,
    seen: { id: Math.max(0, ...ids), rows: numbered ? rows.length : 0 },
    checkpoints: new Map(checkpoints.map((each) => [each.tag, each])),
  };
}

/** The table that a guard watches over. */
export interface Guarded {
  readonly place: LedgerPlace;
  readonly checkpointsExist: boolean;
  /** Every place of the ledger: each has a lock. */
  readonly places: readonly LedgerPlace[];
  /** Whether our role may lock the table. Without that right the guard looks who writes it, and counts. */
  readonly mayLock: boolean;
}

/** Returns the statements that follow the BEGIN, behind those that create a missing ledger. */
export function openingGuard(guarded: Guarded, known: Known): readonly Sending[] {
  const { places } = guarded;
  const lock = { text: `lock table ${quotePlace(guarded.place)} in share row exclusive mode` };
  return [
    ...(guarded.mayLock ? [lock] : []),
    {
      text: `
        select case
          when not (${tryLocks("pg_try_advisory_xact_lock", places)} and ${tryLocks("pg_try_advisory_lock", places)}) then ${raise("lock")}
          when ${[...rowsDiffer(guarded, known, 0), ...checkpointsDiffer(guarded, known)].join(" or ")} then ${raise("changed")}
        end`,
    },
  ];
}

/** Returns the statements that go ahead of the COMMIT. @param written the migrations that have got their rows */
export function closingGuard(
  guarded: Guarded,
  known: Known,
  written: readonly Migration[],
): readonly Sending[] {
  const read = rowsRead(guarded, known, written);
  return guarded.mayLock ? [read] : [nobodyWrites(guarded), read];
}

/**
 * Everybody may see who holds a lock, also who may not take one. The statement behind it takes its snapshot later, and so
 * sees the rows of who has ended meanwhile.
 */
function nobodyWrites({ place }: Guarded): Sending {
  const text = `
    select case when exists (
      select from pg_catalog.pg_locks l where l.granted and l.mode operator(pg_catalog.~) '^(RowE|ShareRow|E|AccessE)'
        and l.relation operator(pg_catalog.=) ${quoteLiteral(quotePlace(place))}::pg_catalog.regclass
        and l.database operator(pg_catalog.=) (select d.oid from pg_catalog.pg_database d where d.datname operator(pg_catalog.=) pg_catalog.current_database())
        and l.pid is distinct from pg_catalog.pg_backend_pid()
    ) then ${raise("writing")} end`;
  return { text };
}

function rowsRead(guarded: Guarded, known: Known, written: readonly Migration[]): Sending {
  const held = `not (${tryLocks("pg_try_advisory_lock", guarded.places)})`;
  if (written.length === 0) return { text: `select case when ${held} then ${raise("lock")} end` };
  const ledger = quotePlace(guarded.place);
  return {
    text: `
      select case
        when ${held} then ${raise("lock")}
        when missing is not null then ${raise("missing", "missing")}
        when ${rowsDiffer(guarded, known, written.length).join(" or ")} then ${raise(guarded.mayLock ? "own" : "changed")}
      end
      from (
        select pg_catalog.min(w.rank) as missing
        from rows from (pg_catalog.unnest($1::int8[]), pg_catalog.unnest($2::pg_catalog.text[]))
          with ordinality as w(created_at, hash, rank)
        where not exists (
          select from ${ledger} l
          where l.created_at operator(pg_catalog.=) w.created_at and l.hash operator(pg_catalog.=) w.hash
        )
      ) as read`,
    values: [
      `{${written.map(({ when }) => when).join(",")}}`,
      `{${written.map(({ hash }) => hash).join(",")}}`,
    ],
  };
}

function rowsDiffer({ place }: Guarded, { rows, seen }: Known, added: number): readonly string[] {
  const count = `select pg_catalog.count(*) from ${quotePlace(place)} l`;
  return [
    `(${count}) operator(pg_catalog.<>) ${rows + added}`,
    ...(seen.rows === 0
      ? []
      : [
          `(${count} where l.id operator(pg_catalog.<=) ${seen.id}) operator(pg_catalog.<>) ${seen.rows}`,
        ]),
  ];
}

/** The numbers of the checkpoints, of their statements that are done, and of those that were begun. */
function checkpointsDiffer(
  { place, checkpointsExist }: Guarded,
  { checkpoints }: Known,
): readonly string[] {
  if (!checkpointsExist) return [];
  const all = [...checkpoints.values()];
  const done = all.reduce((sum, each) => sum + each.done, 0);
  const running = all.filter((each) => each.running !== null).length;
  const sums = `select pg_catalog.concat(pg_catalog.count(*), ' ', coalesce(pg_catalog.sum(c.done), 0), ' ', pg_catalog.count(c.running))`;
  return [
    `(${sums} from ${quotePlace(checkpointPlace(place))} c) operator(pg_catalog.<>) '${all.length} ${done} ${running}'`,
  ];
}

const SIGNAL = /neon-migrate guard: (lock|changed|own|missing|writing) ?(\d*)/;

/** Returns an expression that raises an error with this text in it: no number looks like that. */
function raise(signal: "lock" | "changed" | "own" | "missing" | "writing", value = "''"): string {
  return `pg_catalog.concat('neon-migrate guard: ${signal} ', ${value})::int`;
}

/** Makes the error for a ledger that is not as the plan found it. Nothing of the transaction stays. */
export function ledgerChanged(place: LedgerPlace, facts: ErrorFacts): MigratorError {
  return new MigratorError(
    "LEDGER_CHANGED",
    `Somebody without the migration lock wrote the ledger ${quotePlace(place)} while this run was under way, so this transaction was not committed. Drizzle's own migrator takes no lock. Let only one of the two migrate, and run again.`,
    { ...facts, retryable: true },
  );
}

/** Turns the error of a guard into one that says what is wrong. Leaves every other error as it is. */
export function explainGuard(
  thrown: unknown,
  place: LedgerPlace,
  written: readonly Migration[],
): unknown {
  const server = postgresFacts(thrown);
  const [, signal, rank = ""] = SIGNAL.exec(server?.message ?? "") ?? [];
  const migration = written[Math.max(Number(rank) - 1, 0)]?.tag;
  // The error that the guard has raised itself is no cause: nobody shall read our signal.
  const facts = migration === undefined ? {} : { migration };
  const what = migration === undefined ? "the transaction" : `migration ${migration}`;
  switch (signal) {
    case "lock":
      return new MigratorError(
        "LOCK_LOST",
        `Another run has the migration lock, so the transaction of ${what} is rolled back. A statement of this run gave the lock away: DISCARD ALL and pg_advisory_unlock_all() release every lock of the session. Take that statement out of its migration, or run again when the other run has ended.`,
        { ...facts, retryable: true },
      );
    case "writing":
      // As with a lock that was not to be had: tried again as a whole, until the deadline.
      return new MigratorError(
        "LEDGER_CHANGED",
        `Somebody without the migration lock is writing the ledger ${quotePlace(place)}, so the transaction of ${what} was not committed. Drizzle's own migrator takes no lock. Let only one of the two migrate.`,
        { ...facts, sqlstate: LOCK_NOT_AVAILABLE, retryable: true },
      );
    case "changed":
      return ledgerChanged(place, facts);
    case "own":
      return new MigratorError(
        "LEDGER_CHANGED",
        `The transaction of ${what} has itself changed the ledger ${quotePlace(place)}: a statement in it, or a trigger of the ledger, wrote or deleted other rows than one for each migration. Or the table has no unique id, and its sequence gives ids that rows have already. The transaction is rolled back. Take that statement out: "neon-migrate repair" and "neon-migrate baseline" change a ledger. Set such a sequence behind the rows with setval.`,
        facts,
      );
    case "missing":
      return new MigratorError(
        "LEDGER_UNWRITABLE",
        `The ledger ${quotePlace(place)} took the row of migration ${migration}, and does not have it now, so the transaction is rolled back. A trigger, a rule or a row-level security policy of the ledger takes rows away, or a ROLLBACK TO SAVEPOINT in a later file that goes back behind this one. Look at the ledger with \\d+, and release each savepoint in the file that sets it.`,
        facts,
      );
    default:
      return thrown;
  }
}
