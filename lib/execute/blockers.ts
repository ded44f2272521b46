import type { Connection } from "../connection/connection.ts";
import { PREPARED_COLUMNS, SESSION_COLUMNS, type SessionFacts } from "../postgres/activity.ts";
import { within } from "../wait.ts";

/** Told for whom a session waits, at each look. */
export type OnWait = (blockers: readonly SessionFacts[]) => void;

/** The answer to one look. */
export interface Look {
  /** The sessions for which ours waits. */
  readonly ahead: readonly SessionFacts[];
  /** The sessions that wait for ours, 100 at the most. */
  readonly behind: readonly SessionFacts[];
  /** Time for which ours has waited, in ms; null where the server does not know it. */
  readonly waitedMs: number | null;
  /** The longest time for which one of those behind has waited, in ms. */
  readonly longestMs: number | null;
}

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
  /** Told what each look has seen, also where nobody waits. */
  readonly onLook?: (look: Look) => void;
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

const AHEAD = `${SESSIONS}(pg_catalog.pg_blocking_pids($1::pg_catalog.int4))
  union all ${PREPARED} and exists (
    select from pg_catalog.pg_locks w where w.pid operator(pg_catalog.=) $1::pg_catalog.int4 and not w.granted
      and (w.relation operator(pg_catalog.=) l.relation or w.transactionid operator(pg_catalog.=) l.transactionid)))`;

/** Of a crowd that waits a part is asked: each question for one of them stops the lock manager for a moment. */
const BEHIND = `${SESSIONS}(array(select w.pid from (
    select pid from pg_catalog.pg_locks where not granted and pid operator(pg_catalog.<>) $1::pg_catalog.int4 limit 100) w
  where $1::pg_catalog.int4 operator(pg_catalog.=) any(pg_catalog.pg_blocking_pids(w.pid))))`;

const QUESTION = `with s as (${AHEAD})
  select s.*, false as "behind", ${waited("$1::pg_catalog.int4")} from s
  union all select s.*, true, ${waited("s.pid")} from (${BEHIND}) s`;

function waited(pid: string): string {
  return `(select (extract(epoch from pg_catalog.clock_timestamp() operator(pg_catalog.-) pg_catalog.min(t.waitstart))
    operator(pg_catalog.*) 1000)::pg_catalog.int4
    from pg_catalog.pg_locks t where not t.granted and t.pid operator(pg_catalog.=) ${pid}) as "waitedMs"`;
}

/** One row of the answer. */
type Seen = SessionFacts & { readonly behind: boolean; readonly waitedMs: number | null };

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
  { lockTimeoutMs, deadline, onWait, onLook }: WatchOptions,
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
    const seen = lookIn(await helper.query<Seen>(QUESTION, [connection.backendPid]));
    present = seen.ahead;
    onLook?.(seen);
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

function lookIn(rows: readonly Seen[]): Look {
  const of = (side: boolean) => rows.filter(({ behind }) => behind === side);
  const longest = (side: boolean) =>
    of(side).reduce<number | null>(
      (most, { waitedMs }) => Math.max(most ?? 0, waitedMs ?? 0),
      null,
    );
  const sessions = (side: boolean) =>
    of(side).map(({ behind: _behind, waitedMs: _waitedMs, ...session }) => session);
  return {
    ...{ ahead: sessions(false), behind: sessions(true) },
    ...{ waitedMs: longest(false), longestMs: longest(true) },
  };
}
