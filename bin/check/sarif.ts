import type { Bundle } from "../../lib/bundle/bundle.ts";
import { positionAt } from "../../lib/bundle/text-position.ts";
import { RULES } from "../../lib/compile/check/rules.ts";
import type { FiledFinding } from "../../lib/compile/filed-findings.ts";
import { packageVersion } from "../../lib/package-root.ts";
import { printableTexts } from "../render/printable.ts";
import type { CheckResult } from "./result.ts";

/**
 * Renders findings as a SARIF 2.1.0 log. Code scanning of GitHub, GitLab and Azure reads it.
 * Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 */
export function toSarif(result: CheckResult, bundle: Bundle): object {
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "neon-migrate",
            version: packageVersion(),
            rules: RULES.map(describeRule),
          },
        },
        columnKind: "utf16CodeUnits",
        results: result.findings.map((finding) => toSarifResult(finding, bundle)),
      },
    ],
  };
}

function describeRule({ id, severity, summary }: (typeof RULES)[number]): object {
  return {
    id,
    shortDescription: { text: summary },
    help: { text: `See docs/reference/rules.md of neon-lambda-migrator, section ${id}.` },
    defaultConfiguration: { level: severity },
  };
}

function toSarifResult(finding: FiledFinding, bundle: Bundle): object {
  const { rule, severity, message, evidence, rewrite, migration, statement } =
    printableTexts(finding);
  return {
    ruleId: rule,
    ruleIndex: RULES.findIndex(({ id }) => id === rule),
    level: severity,
    message: {
      text: `${message}${evidence === null ? "" : ` (${evidence})`}\n\nInstead:\n${rewrite}`,
    },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: toUri(finding.file) },
          region: regionOf(finding, bundle),
        },
      },
    ],
    properties: { migration, statement, evidence, rewrite },
  };
}

function toUri(file: string): string {
  const path = file
    .replace(/\p{Cs}/gu, "\ufffd")
    .replaceAll("\\", "/")
    .split("/")
    .map(encodeURIComponent)
    .join("/");
  return path.startsWith("/") ? `file://${path}` : path;
}

/** Returns the region from the finding's place to the end of its statement. */
function regionOf(
  { migration, statement, line, column }: FiledFinding,
  { migrations }: Bundle,
): object {
  const found = migrations.find(({ tag }) => tag === migration);
  const end = found?.statements[statement - 1]?.end;
  const start = { startLine: line, startColumn: column };
  if (found === undefined || end === undefined) return start;
  const { line: endLine, column: endColumn } = positionAt(found.sql, end);
  return { ...start, endLine, endColumn };
}
