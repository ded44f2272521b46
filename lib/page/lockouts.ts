import type { Report } from "../report/report.ts";
import { duration } from "./outcome.ts";

type Lockout = Report["lockouts"][number];

/** Says how long others were locked out, and from where to where. Each text from outside goes through `mark` first. */
export function lockoutSentence(
  { migration, statement, relation, mode, durationMs, committed }: Lockout,
  mark: (text: string) => string = (text) => text,
): string {
  const place = `statement ${statement} of ${mark(migration)}`;
  if (durationMs === null) {
    return `From ${place} on others could be locked out, and the connection was lost: the server ended that when it noticed.`;
  }
  const end = committed === true ? "its end" : "the rollback";
  const time = duration(durationMs);
  return relation === null
    ? `Others were locked out for ${time} at the most, from ${place} to ${end}: its text does not show what it locks.`
    : `Others were locked out for ${time}, from ${place} (${mode} on ${mark(relation)}) to ${end}.`;
}

/** Says how long others were locked out at the longest; null where a report does not know. */
export function longestLockout({
  lockouts,
  lockedOutMs,
}: Pick<Report, "lockouts" | "lockedOutMs">): string | null {
  if (lockedOutMs !== null) return lockouts.length === 0 ? "not at all" : duration(lockedOutMs);
  return lockouts.length === 0 ? null : "not known: the connection was lost";
}
