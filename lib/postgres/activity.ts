/**
 * Another session, or a transaction without one (PREPARE TRANSACTION), as `pg_stat_activity` shows it to our role. Of the
 * sessions of other roles it hides the most.
 */
export interface SessionFacts {
  /** 0 for a prepared transaction. */
  readonly pid: number;
  /** The name of a prepared transaction; null for a session. */
  readonly gid?: string | null;
  readonly role: string | null;
  readonly application: string | null;
  readonly state: string | null;
  /** Time of its login, in UTC. */
  readonly since: string | null;
  /** Age of its open transaction; null without one. */
  readonly transactionSeconds: number | null;
  /** Time since it entered its state: active, or idle. */
  readonly stateSeconds: number | null;
  /** Its present or last statement, shortened by the server. */
  readonly query: string | null;
}

const QUERY_LENGTH = 200;

/** The columns of `pg_stat_activity a` that make `SessionFacts`, all but the pid. */
export const SESSION_COLUMNS: string = `
  a.usename::pg_catalog.text as "role", a.application_name as "application", a.state,
  pg_catalog.to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') as "since",
  extract(epoch from pg_catalog.now() operator(pg_catalog.-) a.xact_start)::pg_catalog.int4 as "transactionSeconds",
  extract(epoch from pg_catalog.now() operator(pg_catalog.-) a.state_change)::pg_catalog.int4 as "stateSeconds",
  pg_catalog.left(a.query, ${QUERY_LENGTH}) as "query"`;

/** The same columns, with the pid and the gid in front, of a prepared transaction `p` of `pg_prepared_xacts`. */
export const PREPARED_COLUMNS = `
  0 as "pid", p.gid::pg_catalog.text as "gid", p.owner::pg_catalog.text as "role", null as "application", null as "state",
  pg_catalog.to_char(p.prepared at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') as "since",
  null::pg_catalog.int4 as "transactionSeconds", null::pg_catalog.int4 as "stateSeconds", null as "query"`;

/** Returns the statement with which an operator ends a session, or a prepared transaction. */
export function endStatement({ pid, gid = null }: SessionFacts): string {
  if (gid === null) return `select pg_terminate_backend(${pid});`;
  return `rollback prepared '${gid.replaceAll("'", "''")}';`;
}

/** Describes a session in one line, for an operator who has to decide whether to end it. */
export function describeSession(session: SessionFacts): string {
  const { pid, gid = null, role, application, since, transactionSeconds } = session;
  if (gid !== null) return `the prepared transaction '${gid}' (role ${role}, since ${since})`;
  const name =
    application === null || application === "" ? "a session without a name" : application;
  const facts = [
    `pid ${pid}`,
    ...(role === null ? [] : [`role ${role}`]),
    ...(since === null ? [] : [`connected since ${since}`]),
    ...(transactionSeconds === null ? [] : [`in a transaction for ${transactionSeconds} s`]),
    describeState(session),
    ...describeQuery(session),
  ];
  return `${name} (${facts.join(", ")})`;
}

function describeState({ state, stateSeconds }: SessionFacts): string {
  const name = state ?? "state unknown";
  return stateSeconds === null ? name : `${name} for ${stateSeconds} s`;
}

/** Returns the part of the description that quotes the session's statement, if there is one. It may hold data. */
export function describeQuery({ query, state }: SessionFacts): readonly string[] {
  if (query === null || query === "") return [];
  const which = state === "active" ? "runs" : "last statement";
  const cut = Array.from(query).length < QUERY_LENGTH ? "" : "…";
  return [`${which}: ${query.replace(/\s+/g, " ").trim()}${cut}`];
}
