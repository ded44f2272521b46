import { APPLICATION_PREFIX } from "../../lib/connection/connection.ts";
import { describeQuery, endStatement, type SessionFacts } from "../../lib/postgres/activity.ts";
import { oneLine } from "../../lib/text.ts";

/** Names sessions, so that two waits for the same ones can be told from others. */
export function namesOf(sessions: readonly SessionFacts[]): string {
  return sessions.map(nameOf).join(", ");
}

function nameOf({ pid, gid = null, application }: SessionFacts): string {
  if (gid !== null) return `the prepared transaction ${oneLine(gid)}`;
  return application === null || application === ""
    ? `pid ${pid}`
    : `${oneLine(application)} (pid ${pid})`;
}

/** Describes a session in lines that mostly fit: who it is, since when, its statement, and how to end it. */
export function sessionLines(session: SessionFacts): readonly string[] {
  const { role, since, state, stateSeconds, application, gid = null } = session;
  const begin = gid === null ? "connected since" : "prepared at";
  const times = [
    ...(since === null ? [] : [`${begin} ${since}`]),
    ...(state === null ? [] : [`${state} for ${stateSeconds ?? 0} s`]),
  ];
  // To end another run is seldom what one wants.
  const isRun = gid === null && application?.startsWith(APPLICATION_PREFIX) === true;
  const facts = [
    ...(times.length === 0 ? [] : [times.join(", ")]),
    ...describeQuery(session),
    ...(isRun ? [] : [`to end it: ${endStatement(session)}`]),
  ];
  const who = role === null ? nameOf(session) : `${nameOf(session)}, role ${oneLine(role)}`;
  return [`    ${who}`, ...facts.map((fact) => `      ${oneLine(fact)}`)];
}
