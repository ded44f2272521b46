import type { Report } from "../../../lib/report/report.ts";
import type { Disturbed } from "./disturb.ts";
import type { Stage } from "./stage.ts";

/** What must never be, by the stand-in and by production's own log. */
export interface Verdict {
  /** Sentences: a session with production, or a statement there. */
  readonly onProduction: readonly string[];
  /** Branches that nobody would ever delete. */
  readonly withoutExpiry: readonly string[];
  /** What the answer says, and is not so; or that there is no answer. */
  readonly untrue: readonly string[];
  /** Branches that are there behind the answer. */
  readonly left: readonly string[];
  /** The code of the answer's error; `passed` without one, null for a killed process. */
  readonly outcome: string | null;
}

/** Whether something happened that must never happen. A branch that is left and expires is counted, and is no such thing. */
export function isBad({ onProduction, withoutExpiry, untrue }: Verdict): boolean {
  return onProduction.length + withoutExpiry.length + untrue.length > 0;
}

/** Looks at the project and at production behind a rehearsal. @param linesBefore of production's log */
export async function judge(
  { neon, sessions, ownersLines }: Stage,
  { answer }: Disturbed,
  linesBefore: number,
): Promise<Verdict> {
  // What was asked for before the end is still carried out.
  await neon.idle();
  const left = neon.branchNames().filter((name) => name !== "main");
  const statements = (await ownersLines()) - linesBefore;
  const withoutExpiry = left.filter((name) => neon.expiryOf(name) === null);
  return {
    onProduction: [
      ...(sessions.production === 0 ? [] : [`${sessions.production} sessions with production`]),
      ...(statements === 0 ? [] : [`${statements} lines of the owner in production's log`]),
    ],
    withoutExpiry,
    untrue: answer === null ? [] : untruths(answer, left),
    left,
    outcome: answer === null ? null : outcomeOf(answer),
  };
}

function untruths(answer: unknown, left: readonly string[]): readonly string[] {
  if (!isReport(answer)) return [`no report: ${JSON.stringify(answer)?.slice(0, 300)}`];
  const { rehearsal, error, warnings, status } = answer;
  const isTold =
    warnings.some(({ code }) => code === "REHEARSAL_BRANCH_LEFT") ||
    // The branch may have been made, and its answer never came.
    error?.code === "REHEARSAL_UNAVAILABLE";
  const isPassed = rehearsal?.status === "passed" && status === "planned";
  return [
    ...(left.length > 1 ? [`more than one branch: ${left.join(", ")}`] : []),
    ...(left.length > 0 && !isTold ? [`${left.join(", ")} is left, and nothing says so`] : []),
    ...(left.length > 0 && rehearsal?.branch.deleted === true ? ["deleted, and there"] : []),
    ...(isPassed === (error !== undefined) ? [`passed and error ${error?.code} disagree`] : []),
    ...(error?.code === "INTERNAL" ? [`INTERNAL: ${error.message}`] : []),
  ];
}

function outcomeOf(answer: unknown): string {
  if (!isReport(answer)) return "no report";
  return answer.error?.code ?? "passed";
}

function isReport(answer: unknown): answer is Report {
  return typeof answer === "object" && answer !== null && Reflect.has(answer, "schemaVersion");
}
