import { relative, resolve } from "node:path";
import type { Severity } from "../../lib/bundle/finding.ts";
import { printable } from "../../lib/text.ts";
import type { CheckResult } from "./result.ts";

const COMMANDS: Readonly<Record<Severity, string>> = {
  error: "error",
  warning: "warning",
  note: "notice",
};

/**
 * Renders findings as commands of GitHub Actions, which shows them beside the lines of a pull request.
 * @param workspace the folder of the repository: GitHub wants paths from there
 */
export function annotations(
  { findings, warnings }: CheckResult,
  workspace: string,
): readonly string[] {
  const ofFolder = warnings.map(
    ({ code, message }) => `::warning title=${property(code)}::${escaped(message)}`,
  );
  const ofFindings = findings.map(
    ({ severity, file, line, column, rule, message, evidence, rewrite }) => {
      const path = relative(workspace, resolve(file)).replaceAll("\\", "/");
      const place = `file=${property(path)},line=${line},col=${column},title=${property(rule)}`;
      const text = [
        message,
        ...(evidence === null ? [] : [`(${evidence})`]),
        `\n\n${rewrite}`,
      ].join(" ");
      return `::${COMMANDS[severity]} ${place}::${escaped(text)}`;
    },
  );
  return [...ofFolder, ...ofFindings];
}

function escaped(text: string): string {
  return printable(text).replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text: string): string {
  return escaped(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
