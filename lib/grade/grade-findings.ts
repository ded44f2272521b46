/*
 * Grade: the severity of each finding for this database. A plan comes in, and the findings in its pending migrations
 * go out, with the evidence of the database's catalog. The findings themselves are made at build time. Nothing here
 * writes to the database, or stops a run.
 */

import { describeFinding, findingsOf, type ReportedFinding } from "../bundle/finding.ts";
import type { Connection } from "../connection/connection.ts";
import type { Plan } from "../plan/plan.ts";

/** Returns the findings in the pending migrations. Those that only the catalog can grade are marked. */
export function pendingFindings({ pending }: Plan): readonly ReportedFinding[] {
  return findingsOf(pending.map(({ migration }) => migration)).map((each) => {
    const described = describeFinding(each);
    return each.finding.asks === null ? described : { ...described, graded: false };
  });
}

/**
 * Returns the same findings, graded by the catalog. Takes one round trip, or none without a question. The files that ask
 * and grade load only here: a run that applies needs neither.
 * @throws the error of the server or the connection
 */
export async function gradedFindings(
  connection: Connection,
  { pending }: Plan,
): Promise<readonly ReportedFinding[]> {
  const placed = findingsOf(pending.map(({ migration }) => migration));
  if (placed.length === 0) return [];
  const [{ askCatalog }, { gradeFinding }] = await Promise.all([
    import("./catalog.ts"),
    import("./severity.ts"),
  ]);
  const answers = await askCatalog(connection, placed);
  return placed.map((each) => describeFinding(each, gradeFinding(each.finding, answers.get(each))));
}
