/** Another session, as `pg_stat_activity` shows it to our role. Of the sessions of other roles it hides the most. */
export interface SessionFacts {
  readonly pid: number;
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

/** The columns of `pg_stat_activity a` that make `SessionFacts`, all but the pid. */
export const SESSION_COLUMNS = `
  a.usename::pg_catalog.text as "role", a.application_name as "application", a.state,
  pg_catalog.to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') as "since",
  extract(epoch from pg_catalog.now() operator(pg_catalog.-) a.xact_start)::int as "transactionSeconds",
  extract(epoch from pg_catalog.now() operator(pg_catalog.-) a.state_change)::int as "stateSeconds",
  pg_catalog.left(a.query, 200) as "query"`;

/** Describes a session in one line, for an operator who has to decide whether to end it. */
export function describeSession(session: SessionFacts): string {
  const { pid, role, application, since, transactionSeconds } = session;
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
  return [`${which}: ${query.replace(/\s+/g, " ").trim()}`];
}
