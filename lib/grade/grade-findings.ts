import { describeFinding, findingsOf, type ReportedFinding } from "../bundle/finding.ts";
import type { Connection } from "../connection/connection.ts";
import type { Plan } from "../plan/plan.ts";
import { askCatalog } from "./catalog.ts";
import { gradeFinding } from "./severity.ts";

/** What the rules of `check` have against what is pending, by the texts alone. */
export function pendingFindings({ pending }: Plan): readonly ReportedFinding[] {
  return findingsOf(pending.map(({ migration }) => migration)).map((each) => describeFinding(each));
}

/**
 * The same, graded by what the catalog says; one round trip, or none where there is nothing to ask.
 * @throws what the server or the connection says
 */
export async function gradedFindings(
  connection: Connection,
  { pending }: Plan,
): Promise<readonly ReportedFinding[]> {
  const placed = findingsOf(pending.map(({ migration }) => migration));
  const answers = await askCatalog(connection, placed);
  return placed.map((each) => describeFinding(each, gradeFinding(each.finding, answers.get(each))));
}
