/** Another session, as `pg_stat_activity` shows it to our role. */
export interface SessionFacts {
  readonly pid: number;
  readonly role: string | null;
  readonly application: string | null;
  readonly state: string | null;
  /** How long it has been in its transaction, or in its state. */
  readonly seconds: number | null;
  /** Its present or last statement, shortened by the server. */
  readonly query: string | null;
}

/** One line about a session, for an operator who has to decide whether to end it. */
export function describeSession({
  pid,
  role,
  application,
  state,
  seconds,
  query,
}: SessionFacts): string {
  const name =
    application === null || application === "" ? "a session without a name" : application;
  const facts = [
    `pid ${pid}`,
    ...(role === null ? [] : [`role ${role}`]),
    state ?? "state unknown",
    ...(seconds === null ? [] : [`for ${seconds} s`]),
    ...(query === null || query === ""
      ? []
      : [`last statement: ${query.replace(/\s+/g, " ").trim()}`]),
  ];
  return `${name} (${facts.join(", ")})`;
}
