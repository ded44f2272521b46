import type { Warning } from "./bundle.ts";

/** What a server answers to it. */
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

/** Has the server look every second whether we still live, where it can. */
export const WATCH_DISCONNECTS: string = `do $$ begin perform set_config('client_connection_check_interval', '${CHECK_INTERVAL}', false); exception when others then null; end $$`;

/**
 * What every session says first, in one message. Settings are made by SQL, because Neon's proxy drops
 * them from the login silently. With the check interval a server notices a dead runner within a
 * second, instead of when its statement ends. Where it cannot be set, the session goes without, and says
 * so: therefore it is asked what is in force, whatever came of setting it.
 */
export const GREETING: readonly string[] = [
  WATCH_DISCONNECTS,
  `select
    pg_backend_pid() as "pid",
    current_database()::text as "name",
    current_user::text as "role",
    current_setting('server_version') as "version",
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as "readOnly",
    current_setting('client_connection_check_interval', true) as "checkInterval"`,
];

/** Whether a dead runner's lock may outlive it, as a warning. */
export function disconnectsUnwatched({ checkInterval }: Greeting): readonly Warning[] {
  if (checkInterval === CHECK_INTERVAL) return [];
  const found = checkInterval ?? "missing";
  const message = `The server does not look every second whether this run still lives (client_connection_check_interval is ${found}). Should the run die, its lock stays until its statement has ended.`;
  return [{ code: "DISCONNECTS_UNWATCHED", message }];
}
