import { Annotations } from "aws-cdk-lib";
import type { Construct } from "constructs";
import type { FiledFinding } from "../lib/compile/filed-findings.ts";
import type { CheckOptions } from "./props.ts";

const SEVERITIES = ["error", "warning", "note"] as const;

/**
 * Makes one annotation for each broken rule, however often it is broken. The rule's id acknowledges it, and a folder
 * with a long past does not flood the terminal.
 */
export function annotateFindings(
  scope: Construct,
  findings: readonly FiledFinding[],
  folder: string,
  failOn: CheckOptions["failOn"] = "never",
): void {
  for (const rule of new Set(findings.map((finding) => finding.rule))) {
    annotateRule(
      scope,
      findings.filter((finding) => finding.rule === rule),
      folder,
      failOn,
    );
  }
}

function annotateRule(
  scope: Construct,
  findings: readonly FiledFinding[],
  folder: string,
  failOn: "error" | "warning" | "never",
): void {
  const severity = SEVERITIES.find((each) => findings.some((found) => found.severity === each));
  // The newest finding is the one most likely to be in a pending migration.
  const finding = findings.findLast((each) => each.severity === severity);
  if (finding === undefined || severity === undefined) return;
  const { file, line, column, message, rule } = finding;
  const others = findings.length > 1 ? ` And ${findings.length - 1} more of this rule.` : "";
  const text = `${file}:${line}:${column}: ${message}${others} What to write instead: neon-migrate check --folder ${folder}.`;
  const id = `neon-lambda-migrator:${rule}`;
  const annotations = Annotations.of(scope);
  if (failOn !== "never" && SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(failOn)) {
    annotations.addError(`${text} [${rule}]`);
  } else if (severity === "note") annotations.addInfoV2(id, text);
  else annotations.addWarningV2(id, text);
}
