import type { Connection } from "../connection/connection.ts";
import { SESSION_COLUMNS, type SessionFacts } from "../postgres/activity.ts";
import { within } from "../wait.ts";

/** Who stands in the way of a session. */
export interface Blockers {
  /** Those for whom it waited when one last looked; empty when it did not wait, or nobody looks any more. */
  present(): readonly SessionFacts[];
  /** Those for whom it last waited. */
  lastSeen(): readonly SessionFacts[];
  /** Looks once more, from another session. Never rejects. */
  look(helper: Connection): Promise<void>;
  /** Waits for an answer that is on its way. */
  settled(): Promise<void>;
  /** Looks no more. */
  stop(): void;
}

/** How, and until when, to look. */
export interface WatchOptions {
  /** How long a statement waits for a lock at a time, in ms: so often one has to look. */
  readonly lockTimeoutMs: number;
  /** Epoch ms. */
  readonly deadline: number;
}

const MAX_INTERVAL_MS = 1_000;
/** How long an answer may take. */
const ANSWER_TIMEOUT_MS = 500;

const SESSIONS = `select a.pid,${SESSION_COLUMNS} from pg_catalog.pg_stat_activity a where a.pid = any`;

const QUESTION = `${SESSIONS}(pg_blocking_pids($1::int))`;

const HOLDERS = `${SESSIONS}(array(select l.pid from pg_catalog.pg_locks l
  join pg_catalog.pg_class c on c.oid = l.relation where l.granted and $1 ~ ('\\m' || c.relname || '\\M')))
  and a.datname = current_database() and a.pid <> pg_backend_pid()`;

/**
 * Asks the session that has waited in vain who has locks on relations that are named in a statement: for whom it waited can
 * be seen only while it waits, and from beside, where nobody may have come to look in time.
 * @returns nobody where that is not answered
 */
export async function findHolders(
  connection: Connection,
  statement = "",
): Promise<readonly SessionFacts[]> {
  return await connection.query<SessionFacts>(HOLDERS, [statement]).catch(() => []);
}

/**
 * Looks again and again for whom a session waits: that can be asked only while it waits, and only from
 * another session, which is opened once the work has taken so long that it may be waiting.
 */
export function watchBlockers(
  connection: Connection,
  { lockTimeoutMs, deadline }: WatchOptions,
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
    if (present.length > 0) lastSeen = present;
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
