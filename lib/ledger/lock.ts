/*
 * The lock of a ledger: PostgreSQL's advisory lock, one for each place where the ledger can be. So a run that falls back
 * to `public` meets one that names it. A run holds the lock from its look at the ledger to its last row, so that no
 * other run comes between. It is a lock of the session: it ends with the session,
 * however that ends. Nothing here reads or writes the ledger.
 *
 * The first message of a session asks for the lock, and then for the ledger. The answer decides how the run goes on:
 *
 *   answer    the lock                      nothing is pending     something is pending
 *   kept      ours until our session ends   done                   refuse a pooler, carry the plan out
 *   passing   ours for that message only    done                   refuse a pooler, then the same as after "taken"
 *   taken     another session's             refuse a pooler, wait for the lock, read the ledger again, plan by that
 *
 * A passing answer proves enough where nothing is pending: the ledger was read while the lock was ours. It comes where a
 * transaction pooler may stand in between. `refusePooler` (pooler.ts) then finds out whether one does: behind a pooler
 * no lock is worth anything.
 */

import { createHash } from "node:crypto";
import { APPLICATION_PREFIX, type Connection, type Rows } from "../connection/connection.ts";
import { MigratorError, type Warning } from "../errors.ts";
import type { Log } from "../log.ts";
import {
  describeQuery,
  describeSession,
  endStatement,
  SESSION_COLUMNS,
  type SessionFacts,
} from "../postgres/activity.ts";
import type { ConfiguredLedger, LedgerPlace } from "../target/target.ts";
import { pause } from "../wait.ts";
import { placesOf } from "./place.ts";

/** How long to wait for the lock, and how to tell of it. */
export interface LockOptions {
  /** How long to wait for another run, in ms. */
  readonly timeoutMs: number;
  /** Epoch ms after which to wait is pointless. */
  readonly deadline: number;
  readonly log: Log;
  /**
   * The time without a sign of life after which a run of ours counts as dead, and is ended. Default: 30,000 ms. A living
   * run pauses for five seconds at the most.
   */
  readonly abandonedAfterMs?: number;
  /** Told who holds the lock, at each look. */
  onHolder?(holder: string): void;
  /** The same. */
  onWait?(holders: readonly SessionFacts[]): void;
}

/** The session that holds the lock. */
export interface Holder extends SessionFacts {
  /** Whether it is a run of this migrator, of our own role, that neither sends nor takes anything while it holds the lock. */
  readonly abandoned: boolean;
}

const POLL_MIN_MS = 50;
const POLL_MAX_MS = 1_000;
/** Behind a pause that is longer somebody asks who holds the lock, which is in the second second of the wait. */
const LOOK_BEHIND_MS = 400;
const ABANDONED_AFTER_MS = 30_000;
/** Room before the deadline for the question who holds the lock. */
const ANSWER_MARGIN_MS = 1_000;

/**
 * Returns the key of a ledger's lock: the first 64 bits, signed, of the SHA-256 of its place. Advisory locks
 * are per database, so the database is not part of the key.
 */
export function lockKey(place: LedgerPlace): string {
  const name = `neon-lambda-migrator\n${place.schema}\n${place.table}`;
  return createHash("sha256").update(name).digest().readBigInt64BE(0).toString();
}

/** What the server said to the question for the lock; see the table above. */
type LockAnswer = "kept" | "passing" | "taken";

/** Reads the answer to `lockQuestion` or `cautiousLockQuestion`. */
export function readLockAnswer(rows: Rows): LockAnswer {
  const { locked, lasting } = rows[0] ?? {};
  if (locked !== true) return "taken";
  return lasting === true ? "kept" : "passing";
}

/** Returns the statement that takes the lock if it is free. Its answer is never "passing". */
export function lockQuestion(ledger: ConfiguredLedger): string {
  return `select ${tryLocks("pg_try_advisory_lock", placesOf(ledger))} as "locked", true as "lasting"`;
}

/** Returns the expression that takes the lock of each place, in order, up to the first that is taken. */
export function tryLocks(
  name: "pg_try_advisory_lock" | "pg_try_advisory_xact_lock",
  places: readonly LedgerPlace[],
): string {
  return places.map((place) => `pg_catalog.${name}(${lockKey(place)}::int8)`).join(" and ");
}

/**
 * Returns the same statement for a way on which a transaction pooler may stand: on a pooler's backend the lock of a
 * session would stay behind when we are gone. The statement takes the lock for the session only where our application
 * name came to the backend with its login. A pooler logs in under its own name, or none, and sets ours afterwards
 * (PgBouncer, `varcache_apply`). The setting falls back to the name of the login when it is set to null, here for this
 * transaction only. Elsewhere the answer is "passing": the lock ends with the implicit transaction of the message that
 * this statement is part of.
 */
export function cautiousLockQuestion(ledger: ConfiguredLedger): string {
  const places = placesOf(ledger);
  return `
    select
      case when "lasting" then ${tryLocks("pg_try_advisory_lock", places)}
        else ${tryLocks("pg_try_advisory_xact_lock", places)} end as "locked",
      "lasting"
    from (
      select pg_catalog.starts_with(pg_catalog.set_config('application_name', null, true), '${APPLICATION_PREFIX}') as "lasting"
    ) session
  `;
}

/**
 * Waits for the lock. It asks again and again, outside any transaction, and never blocks: a session that *blocks* on the
 * lock holds a snapshot, and the holder's own CREATE INDEX CONCURRENTLY would wait for that snapshot: a deadlock.
 * @returns a warning for each abandoned session that had to be ended
 * @throws MigratorError `LOCKED` when another run still holds it after `timeoutMs`, naming the holder
 */
export async function acquireLock(
  connection: Connection,
  ledger: ConfiguredLedger,
  options: LockOptions,
): Promise<readonly Warning[]> {
  const started = Date.now();
  const until = Math.min(started + options.timeoutMs, options.deadline - ANSWER_MARGIN_MS);
  const warnings: Warning[] = [];
  options.log("lock.waiting", { timeoutMs: options.timeoutMs });
  for (let pauseMs = POLL_MIN_MS; ; pauseMs = Math.min(pauseMs * 2, POLL_MAX_MS)) {
    const leftMs = until - Date.now();
    if (leftMs <= 0) throw await locked(connection, ledger, Date.now() - started);
    const jitteredMs = pauseMs / 2 + Math.random() * (pauseMs / 2);
    await pause(Math.min(jitteredMs, leftMs));
    const answer = readLockAnswer(await connection.query(lockQuestion(ledger)));
    if (answer === "kept") return warnings;
    if (pauseMs > LOOK_BEHIND_MS)
      warnings.push(...(await endAbandoned(connection, ledger, options)));
  }
}

/** Returns the session that holds the lock of the ledger; undefined where it is free, or ours. */
export async function findHolder(
  connection: Connection,
  ledger: ConfiguredLedger,
  abandonedAfterMs: number = ABANDONED_AFTER_MS,
): Promise<Holder | undefined> {
  const [holder] = await connection.query<Holder>(
    `
    select
      l.pid,${SESSION_COLUMNS},
      a.usename operator(pg_catalog.=) session_user and pg_catalog.pg_has_role(a.usesysid, 'USAGE')
        and pg_catalog.starts_with(a.application_name, '${APPLICATION_PREFIX}')
        and (
          pg_catalog.starts_with(a.state, 'idle') or a.wait_event_type operator(pg_catalog.=) 'Client'
        )
        and extract(epoch from pg_catalog.clock_timestamp() operator(pg_catalog.-) a.state_change)
          operator(pg_catalog.*) 1000 operator(pg_catalog.>) $2::numeric as "abandoned"
    from pg_catalog.pg_locks l
    left join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) l.pid
    where l.locktype operator(pg_catalog.=) 'advisory' and l.granted and l.objsubid operator(pg_catalog.=) 1
      and l.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
      and l.database operator(pg_catalog.=) (
        select d.oid from pg_catalog.pg_database d
        where d.datname operator(pg_catalog.=) pg_catalog.current_database()
      )
      and (l.classid::int8 operator(pg_catalog.<<) 32) operator(pg_catalog.|) l.objid::int8
        operator(pg_catalog.=) any ($1::int8[])
    `,
    [placesOf(ledger).map(lockKey), abandonedAfterMs],
  );
  return holder;
}

/** Ends a dead run: a runner that was frozen, or cut off without a word, leaves its session, and the lock, behind. */
async function endAbandoned(
  connection: Connection,
  ledger: ConfiguredLedger,
  options: LockOptions,
): Promise<readonly Warning[]> {
  const afterMs = options.abandonedAfterMs ?? ABANDONED_AFTER_MS;
  const holder = await findHolder(connection, ledger, afterMs);
  if (holder !== undefined) {
    options.onHolder?.(describeSession(holder));
    options.onWait?.([holder]);
  }
  if (holder?.abandoned !== true) return [];
  await connection.query("select pg_catalog.pg_terminate_backend($1::int)", [holder.pid]);
  options.log("lock.abandoned-session-ended", {
    pid: holder.pid,
    idleSeconds: holder.stateSeconds,
  });
  const message = `A run that had died still held the migration lock and was ended: ${describeSession(holder)}.`;
  return [{ code: "ABANDONED_SESSION_ENDED", message }];
}

async function locked(
  connection: Connection,
  ledger: ConfiguredLedger,
  waitedMs: number,
): Promise<MigratorError> {
  const holder = await findHolder(connection, ledger);
  const who =
    holder === undefined
      ? " It has just ended. Try again."
      : `\n- ${describeSession(holder)}\n  To end it: ${endStatement(holder)}\nWait for it, raise lockTimeoutMs, or end it.`;
  return new MigratorError(
    "LOCKED",
    `Another run holds the migration lock and did not release it within ${waitedMs} ms.${who}`,
    { retryable: true, withheld: holder === undefined ? [] : describeQuery(holder) },
  );
}
