import { Annotations } from "aws-cdk-lib";
import type { Construct } from "constructs";
import type { FiledFinding } from "../lib/compile/filed-findings.ts";
import { type Compiled, compileFolder } from "./compile.ts";
import type { CheckOptions, NeonMigrationsProps } from "./props.ts";

const SEVERITIES = ["error", "warning", "note"] as const;

/**
 * Compiles the folder of a construct, and tells its warnings and its findings at synth.
 * @throws Error as `compileFolder`
 */
export function compileAndTell(
  scope: Construct,
  props: Pick<NeonMigrationsProps, "migrations" | "config" | "check">,
): Compiled {
  const { check } = props;
  const since = check === false ? undefined : check?.since;
  const compiled = compileFolder(scope, props, since);
  const { warnings, findings, folder } = compiled.summary;
  for (const { code, message } of warnings) {
    Annotations.of(scope).addWarningV2(`neon-lambda-migrator:${code}`, message);
  }
  if (check !== false) annotateFindings(scope, findings, folder, check?.failOn);
  return compiled;
}

/**
 * Makes one annotation for each broken rule, however often it is broken. The rule's id acknowledges it, and a folder
 * with a long past does not flood the terminal.
 */
function annotateFindings(
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
