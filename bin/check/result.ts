import type { Bundle } from "../../lib/bundle/bundle.ts";
import {
  countFindings,
  type ReportedFinding,
  SEVERITIES,
  type Severity,
} from "../../lib/bundle/finding.ts";
import { openWarnings } from "../../lib/bundle/folder-warning.ts";
import {
  checkedMigrations,
  type FiledFinding,
  fileFindings,
  findingsByText,
} from "../../lib/compile/filed-findings.ts";
import type { DatabaseFacts } from "../../lib/connection/connection.ts";
import type { Warning } from "../../lib/errors.ts";

/** The severity from which on `check` ends with 1. */
export type FailOn = "error" | "warning" | "never";

/** The output of `check --json`. */
export interface CheckResult {
  readonly folder: string;
  /** The tags of the checked migrations. */
  readonly migrations: readonly string[];
  readonly findings: readonly FiledFinding[];
  /** The warnings about the folder. None of them makes the exit code 1. */
  readonly warnings: readonly Warning[];
  readonly counts: Readonly<Record<Severity, number>>;
  /** Whether a finding makes the exit code 1. */
  readonly failed: boolean;
  /** The database that graded the findings; null without a database. */
  readonly database: DatabaseFacts | null;
}

/** The input of a check. */
export interface CheckScope {
  readonly bundle: Bundle;
  readonly folder: string;
  /** New migrations; null: all, each as a deployment of its own. */
  readonly since: readonly string[] | null;
  readonly failOn: FailOn;
}

/** Checks a folder by its texts alone. Pure. */
export function checkBundle(scope: CheckScope): CheckResult {
  const { bundle, since } = scope;
  const tags = checkedMigrations(bundle, since).map(({ tag }) => tag);
  return toResult(scope, tags, findingsByText(bundle, since), null);
}

/** Makes a result of the findings that a plan reports for pending migrations. Pure. */
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
    warnings: openWarnings(bundle.warnings),
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
