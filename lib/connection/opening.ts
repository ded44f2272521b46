import type { Warning } from "../errors.ts";

/** The answer of a server to `GREETING`. */
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

/** The servers that can look whether a client still lives: PostgreSQL 14 on Linux, 15 also on macOS. Others refuse the setting. */
const CAN_WATCH = "linux|^PostgreSQL (1[5-9]|[2-9].).*darwin";

/** Has the server look every second whether we still live, where it can do so. */
const WATCHED = `case
  when version() ~ '${CAN_WATCH}' and current_setting(${CHECK_INTERVAL_SETTING}, true) is not null
  then set_config(${CHECK_INTERVAL_SETTING}, '${CHECK_INTERVAL}', false)
  else current_setting(${CHECK_INTERVAL_SETTING}, true) end`;

/** The same as a statement of its own. */
export const WATCH_DISCONNECTS: string = `select ${WATCHED}`;

/**
 * The first statements of every session, in one message. They make the settings, because Neon's proxy silently drops
 * settings from the login. With the check interval a server notices a dead runner within a second, instead of at the end
 * of its statement. Where the interval cannot be set, the session goes without it, and says so.
 * The message is one transaction. With one snapshot for all of it, as a role may have by default, it would see the ledger
 * as it was before the lock was taken.
 */
export const GREETING: readonly string[] = [
  "set transaction isolation level read committed",
  `select
    pg_backend_pid() as "pid",
    current_database()::text as "name",
    current_user::text as "role",
    current_setting('server_version') as "version",
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as "readOnly",
    ${WATCHED} as "checkInterval"`,
];

/** Whether a dead runner's lock may outlive it, as a warning. */
export function disconnectsUnwatched({ checkInterval }: Greeting): readonly Warning[] {
  if (checkInterval === CHECK_INTERVAL) return [];
  const found = checkInterval ?? "missing";
  const message = `The server does not look every second whether this run still lives (client_connection_check_interval is ${found}). Should the run die, its lock stays until its statement has ended.`;
  return [{ code: "DISCONNECTS_UNWATCHED", message }];
}
