import { createHash } from "node:crypto";
import type { LedgerPlace } from "./config.ts";
import type { Connection } from "./connection.ts";
import { MigratorError } from "./errors.ts";
import type { Log } from "./log.ts";

/** How long, and by whose clock, to wait for the lock. */
export interface LockOptions {
  /** How long to wait for another run, in ms. */
  readonly timeoutMs: number;
  /** Epoch ms after which waiting is pointless. */
  readonly deadline: number;
  readonly log: Log;
}

/** Who holds the lock, as `pg_stat_activity` shows it to our role. */
interface Holder {
  readonly pid: number;
  readonly application: string | null;
  readonly seconds: number | null;
  readonly state: string | null;
  readonly query: string | null;
}

const POLL_MIN_MS = 50;
const POLL_MAX_MS = 1_000;
/** Who holds the lock must still be asked before the deadline. */
const ANSWER_MARGIN_MS = 1_000;

/**
 * The key of a ledger's advisory lock: the first 64 bits, signed, of the SHA-256 of its configured
 * place. Advisory locks are per database, so the database is not part of it.
 */
export function lockKey(place: LedgerPlace): string {
  const name = `neon-lambda-migrator\n${place.schema}\n${place.table}`;
  return createHash("sha256").update(name).digest().readBigInt64BE(0).toString();
}

/** The statement that takes the lock if it is free; answers one row with `locked`. */
export function lockQuestion(place: LedgerPlace): string {
  return `select pg_try_advisory_lock(${lockKey(place)}::bigint) as "locked"`;
}

/**
 * Waits for the ledger's advisory lock. It is polled with a try-lock, outside any transaction: a session
 * that *blocks* on the lock holds a snapshot, and the holder's own CREATE INDEX CONCURRENTLY would wait
 * for that snapshot: a deadlock. The lock belongs to the session and ends with it, however it ends.
 * @throws MigratorError `LOCKED` when another run still holds it after `timeoutMs`, naming the holder
 */
export async function acquireLock(
  connection: Connection,
  place: LedgerPlace,
  options: LockOptions,
): Promise<void> {
  const started = Date.now();
  const until = Math.min(started + options.timeoutMs, options.deadline - ANSWER_MARGIN_MS);
  options.log("lock.waiting", { timeoutMs: options.timeoutMs });
  for (let pauseMs = POLL_MIN_MS; ; pauseMs = Math.min(pauseMs * 2, POLL_MAX_MS)) {
    const leftMs = until - Date.now();
    if (leftMs <= 0) throw await locked(connection, lockKey(place), Date.now() - started);
    const jitteredMs = pauseMs / 2 + Math.random() * (pauseMs / 2);
    await new Promise((resolve) => setTimeout(resolve, Math.min(jitteredMs, leftMs)));
    const [row] = await connection.query<{ locked: boolean }>(lockQuestion(place));
    if (row?.locked === true) return;
  }
}

async function locked(
  connection: Connection,
  key: string,
  waitedMs: number,
): Promise<MigratorError> {
  const [holder] = await connection.query<Holder>(
    `
    select
      l.pid,
      a.application_name as "application",
      extract(epoch from now() - coalesce(a.xact_start, a.state_change, a.backend_start))::int as "seconds",
      a.state,
      left(a.query, 200) as "query"
    from pg_catalog.pg_locks l
    left join pg_catalog.pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1
      and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
      and (l.classid::bigint << 32) | l.objid::bigint = $1::bigint
    `,
    [key],
  );
  const who = holder === undefined ? "A run that has just ended" : describe(holder);
  const wayOut =
    holder === undefined
      ? "Try again."
      : `Wait for it, raise lockTimeoutMs, or end it with: select pg_terminate_backend(${holder.pid});`;
  return new MigratorError(
    "LOCKED",
    `Another run holds the migration lock and did not release it within ${waitedMs} ms. ${who}. ${wayOut}`,
    { retryable: true },
  );
}

function describe({ pid, application, seconds, state, query }: Holder): string {
  const name = application === null || application === "" ? "an unnamed session" : application;
  const since = seconds === null ? "" : `, for ${seconds} s`;
  const activity =
    query === null || query === "" ? "" : `, last statement: ${query.replace(/\s+/g, " ")}`;
  return `Holder: ${name} (pid ${pid}, ${state ?? "state unknown"}${since}${activity})`;
}
