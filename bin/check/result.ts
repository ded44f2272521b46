import type { Bundle } from "../../lib/bundle/bundle.ts";
import {
  countFindings,
  type ReportedFinding,
  SEVERITIES,
  type Severity,
} from "../../lib/bundle/finding.ts";
import {
  checkedMigrations,
  type FiledFinding,
  fileFindings,
  findingsByText,
} from "../../lib/compile/filed-findings.ts";
import type { DatabaseFacts } from "../../lib/connection/connection.ts";

/** From which severity on `check` ends with 1. */
export type FailOn = "error" | "warning" | "never";

/** What `check --json` prints. */
export interface CheckResult {
  readonly folder: string;
  /** The tags that were looked at. */
  readonly migrations: readonly string[];
  readonly findings: readonly FiledFinding[];
  readonly counts: Readonly<Record<Severity, number>>;
  /** Whether the findings are such that the exit code is 1. */
  readonly failed: boolean;
  /** Whose catalog has graded them; null where none was asked. */
  readonly database: DatabaseFacts | null;
}

/** What a `check` has to go by. */
export interface CheckScope {
  readonly bundle: Bundle;
  readonly folder: string;
  /** New migrations; null: all, each as a deployment of its own. */
  readonly since: readonly string[] | null;
  readonly failOn: FailOn;
}

/** The findings of a folder by its texts alone. Pure. */
export function checkBundle(scope: CheckScope): CheckResult {
  const { bundle, since } = scope;
  const tags = checkedMigrations(bundle, since).map(({ tag }) => tag);
  return toResult(scope, tags, findingsByText(bundle, since), null);
}

/** The same, made of what a plan says of that which is pending. Pure. */
export function toResult(
  { bundle, folder, failOn }: CheckScope,
  migrations: readonly string[],
  findings: readonly ReportedFinding[],
  database: DatabaseFacts | null,
): CheckResult {
  const filed = fileFindings(findings, bundle, folder);
  const counts = countFindings(filed);
  return {
    folder,
    migrations,
    findings: filed,
    counts,
    failed: isFailure(counts, failOn),
    database,
  };
}

function isFailure(counts: CheckResult["counts"], failOn: FailOn): boolean {
  if (failOn === "never") return false;
  const severities = SEVERITIES.slice(0, SEVERITIES.indexOf(failOn) + 1);
  return severities.some((severity) => counts[severity] > 0);
}
