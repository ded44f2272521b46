import type { Connection } from "../connection/connection.ts";
import { PREPARED_COLUMNS, SESSION_COLUMNS, type SessionFacts } from "../postgres/activity.ts";
import { within } from "../wait.ts";

/** Told for whom a session waits, at each look. */
export type OnWait = (blockers: readonly SessionFacts[]) => void;

/** The sessions that stand in the way of another one. */
export interface Blockers {
  /** The sessions that it waited for at the last look. Empty when it did not wait, or once `stop` was called. */
  present(): readonly SessionFacts[];
  /** The sessions that it last waited for. */
  lastSeen(): readonly SessionFacts[];
  /** Looks once more, from another session. Never rejects. */
  look(helper: Connection): Promise<void>;
  /** Waits for an answer that is on its way. */
  settled(): Promise<void>;
  /** Ends the looking. */
  stop(): void;
}

/** The settings of a watch. */
export interface WatchOptions {
  /** Longest wait of one statement for a lock, in ms. Looks are frequent enough to see such a wait. */
  readonly lockTimeoutMs: number;
  /** Epoch ms after which nobody looks. */
  readonly deadline: number;
  readonly onWait?: OnWait;
}

const MAX_INTERVAL_MS = 1_000;
/** Longest wait for an answer. */
const ANSWER_TIMEOUT_MS = 500;

const SESSIONS = `select a.pid, null::pg_catalog.text as "gid",${SESSION_COLUMNS}
  from pg_catalog.pg_stat_activity a where a.pid operator(pg_catalog.=) any`;

/** A prepared transaction has locks and no session. The lock on its own number tells which are its own. */
const PREPARED = `select ${PREPARED_COLUMNS} from pg_catalog.pg_prepared_xacts p
  where p.database operator(pg_catalog.=) pg_catalog.current_database() and exists (
    select from pg_catalog.pg_locks l
    join pg_catalog.pg_locks x on x.virtualtransaction operator(pg_catalog.=) l.virtualtransaction and x.pid is null
    where l.granted and l.pid is null and x.transactionid operator(pg_catalog.=) p.transaction`;

const QUESTION = `${SESSIONS}(pg_catalog.pg_blocking_pids($1::pg_catalog.int4))
  union all ${PREPARED} and exists (
    select from pg_catalog.pg_locks w where w.pid operator(pg_catalog.=) $1::pg_catalog.int4 and not w.granted
      and (w.relation operator(pg_catalog.=) l.relation or w.transactionid operator(pg_catalog.=) l.transactionid)))`;

const NAMED = `pg_catalog.pg_class c on c.oid operator(pg_catalog.=) l.relation and $1::pg_catalog.text operator(pg_catalog.~) ('\\m' operator(pg_catalog.||) c.relname::pg_catalog.text operator(pg_catalog.||) '\\M')`;

const HOLDERS = `${SESSIONS}(array(select l.pid from pg_catalog.pg_locks l join ${NAMED} where l.granted))
  and a.datname operator(pg_catalog.=) pg_catalog.current_database() and a.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
  union all ${PREPARED} and exists (select from ${NAMED.replace(" on ", " where ")}))`;

/**
 * Asks a session that has waited in vain which sessions hold locks on relations that its statement names. During a
 * wait, only another session can see who is in the way, and it may have come too late.
 * @returns an empty list where the server does not answer
 */
export async function findHolders(
  connection: Connection,
  statement = "",
): Promise<readonly SessionFacts[]> {
  return await connection.query<SessionFacts>(HOLDERS, [statement]).catch(() => []);
}

/**
 * Looks again and again for the sessions that a session waits for. Only another session can ask that, and only during
 * the wait. The other session is opened once the work has taken so long that it may be waiting.
 */
export function watchBlockers(
  connection: Connection,
  { lockTimeoutMs, deadline, onWait }: WatchOptions,
): Blockers {
  const intervalMs = Math.min(lockTimeoutMs / 4, MAX_INTERVAL_MS);
  let present: readonly SessionFacts[] = [];
  let lastSeen: readonly SessionFacts[] = [];
  let asking: Promise<unknown> = Promise.resolve();
  let over = false;
  let wake = (): void => undefined;

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, intervalMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  async function look(helper: Connection): Promise<void> {
    present = await helper.query<SessionFacts>(QUESTION, [connection.backendPid]);
    if (present.length === 0) return;
    lastSeen = present;
    onWait?.(present);
  }

  async function lookFrom(helper: Connection): Promise<void> {
    while (!over) {
      const answer = look(helper);
      asking = answer.catch(() => undefined);
      await answer;
      await pause();
    }
  }

  async function watch(): Promise<void> {
    for (await pause(); !over && Date.now() < deadline; await pause()) {
      await connection.beside(deadline - Date.now(), lookFrom);
    }
  }

  const watching = watch();
  return {
    present: () => (over ? [] : present),
    lastSeen: () => lastSeen,
    look: (helper) => look(helper).catch(() => undefined),
    settled: async () => {
      await within(Promise.race([asking, watching]), ANSWER_TIMEOUT_MS, () => undefined);
    },
    stop: () => {
      over = true;
      wake();
    },
  };
}
