import type { Warning } from "../errors.ts";

/** The answer of a server to `greeting`. */
export interface Greeting {
  readonly pid: number;
  readonly name: string;
  readonly role: string;
  readonly version: string;
  readonly readOnly: boolean;
  /** As PostgreSQL writes it; null where the server has no such setting. */
  readonly checkInterval: string | null;
}

const CHECK_INTERVAL = "1s";

const CHECK_INTERVAL_SETTING = "'client_connection_check_interval'";

/**
 * The servers that can look whether a client still lives: PostgreSQL 14 on Linux, 15 also on macOS. Others refuse the
 * setting.
 */
const CAN_WATCH = "linux|^PostgreSQL (1[5-9]|[2-9].).*darwin";

/** Has the server look every second whether we still live, where it can do so. */
const WATCHED = `case
  when pg_catalog.version() operator(pg_catalog.~) '${CAN_WATCH}' and pg_catalog.current_setting(${CHECK_INTERVAL_SETTING}, true) is not null
  then pg_catalog.set_config(${CHECK_INTERVAL_SETTING}, '${CHECK_INTERVAL}', false)
  else pg_catalog.current_setting(${CHECK_INTERVAL_SETTING}, true) end`;

/** PostgreSQL takes no longer time, in ms. */
const LONGEST_MS = 2 ** 31 - 1;
/** A transaction may idle so long: ours never do, unless their runner was frozen. */
const IDLE_IN_TRANSACTION = "60s";

/**
 * Has the server end the transactions of a runner that was frozen. Its socket stays open, so that nothing else tells it
 * from a living one, and its transaction would hold its locks for ever. PostgreSQL 17 can end a transaction also in the
 * middle of what is sent.
 */
function bounded(lastsMs: number): string {
  const limit = `'${Math.min(Math.max(Math.ceil(lastsMs), 1), LONGEST_MS)}ms'`;
  return `pg_catalog.set_config('idle_in_transaction_session_timeout', '${IDLE_IN_TRANSACTION}', false),
    case when pg_catalog.current_setting('transaction_timeout', true) is not null
      then pg_catalog.set_config('transaction_timeout', ${limit}, false) end`;
}

/**
 * Returns the statement that makes our own settings of a session again, behind one that takes them all away.
 * @param lastsMs as for `greeting`
 */
export function ownSettings(lastsMs: number): string {
  return `select ${WATCHED}, ${bounded(lastsMs)}`;
}

/**
 * Returns the first statements of every session, in one message. They make the settings, because Neon's proxy silently
 * drops settings from the login. With the check interval a server notices a dead runner within a second, instead of at
 * the end of its statement. Where the interval cannot be set, the session goes without it, and says so.
 * The message is one transaction. With one snapshot for all of it, as a role may have by default, it would see the ledger
 * as it was before the lock was taken. The last statement answers with a `Greeting`.
 * @param lastsMs the longest time that a transaction of the session can last
 */
export function greeting(lastsMs: number): readonly string[] {
  return [
    "set transaction isolation level read committed",
    `select
      pg_catalog.pg_backend_pid() as "pid",
      pg_catalog.current_database()::pg_catalog.text as "name",
      current_user::pg_catalog.text as "role",
      pg_catalog.current_setting('server_version') as "version",
      pg_catalog.pg_is_in_recovery()
        or pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool as "readOnly",
      ${WATCHED} as "checkInterval",
      ${bounded(lastsMs)}`,
  ];
}

/** Whether a dead runner's lock may outlive it, as a warning. */
export function disconnectsUnwatched({ checkInterval }: Greeting): readonly Warning[] {
  if (checkInterval === CHECK_INTERVAL) return [];
  const found = checkInterval ?? "missing";
  const message = `The server does not look every second whether this run still lives (client_connection_check_interval is ${found}). Should the run die, its lock stays until its statement has ended.`;
  return [{ code: "DISCONNECTS_UNWATCHED", message }];
}
