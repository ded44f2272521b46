import { randomUUID } from "node:crypto";
import type { Colors } from "picocolors/types.js";
import {
  type AssetOptions,
  type BundleSummary,
  makeAsset,
} from "../../lib/compile/asset-summary.ts";
import type { ProjectSummary } from "../../lib/project/names.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { DEFAULT_LEDGER, type LedgerPlace } from "../../lib/target/target.ts";
import { counted, oneLine } from "../../lib/text.ts";
import { cacheFolder } from "../cache.ts";
import { namingOut } from "../compile-project.ts";
import { Ending, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { printAnswer } from "../print.ts";
import { type Project, type ProjectOptions, readProject } from "../project.ts";
import { renderReport, warningLines } from "../render/report.ts";

/** The options of `bundle`. */
export interface BundleOptions extends Omit<AssetOptions, "folder" | "cache">, ProjectOptions {}

/** The output of `bundle --json`. */
export interface BundleOutput extends BundleSummary {
  /** Null where no drizzle.config file was read. */
  readonly project: ProjectSummary | null;
}

/**
 * Compiles a folder into a ready Lambda asset, and prints a summary.
 * @returns the exit code
 */
export async function bundleCommand(options: BundleOptions): Promise<number> {
  const outcome = await untilEnded(bundle(options), []);
  if (!(outcome instanceof Ending)) return outcome;
  const report = failedReport(randomUUID(), outcome.thrown);
  fail(report, null, options);
  return outcome.exit(report);
}

async function bundle(options: BundleOptions): Promise<number> {
  let project: Project | null = null;
  try {
    const settled = await readProject(options, false);
    project = settled;
    const { folder, config } = settled;
    const cache = cacheFolder();
    const summary = await namingOut(settled, () => makeAsset({ ...options, folder, cache }));
    const output: BundleOutput = {
      ...summary,
      project: config === null ? null : { file: config.file, ledger: config.ledger },
    };
    printAnswer(options.json, {
      ...{ value: output, failed: false },
      text: (colors) => renderSummary(summary, settled, colors),
    });
    return EXIT_CODE.done;
  } catch (thrown) {
    return fail(failedReport(randomUUID(), thrown), project?.folder ?? null, options);
  }
}

/** No function has less memory (AWS Lambda quotas). */
const LEAST_MEMORY_MB = 128;

/** Renders the summary as text for a person. Pure. */
function renderSummary(summary: BundleSummary, { ledger }: Project, colors: Colors): string {
  const { migrations, out, bytes, memoryMb, hash, warnings } = summary;
  const statements = migrations.reduce((sum, each) => sum + each.statements, 0);
  return [
    ...warningLines(warnings, colors),
    colors.green(
      `${counted(migrations.length, "migration")}, ${counted(statements, "statement")} in ${oneLine(out)}, ${(bytes / 1000).toFixed(0)} kB.`,
    ),
    ...(memoryMb > LEAST_MEMORY_MB
      ? [`The function needs at least ${memoryMb} MB of memory.`]
      : []),
    `Hash ${hash}`,
    ...ledgerLines(ledger),
    "",
    ...nextLines(oneLine(out)),
  ].join("\n");
}

/** Says what a function is made of the folder with. */
function nextLines(out: string): readonly string[] {
  return [
    `Next: make a Lambda function of ${out}, handler index.handler, nodejs22.x or nodejs24.x, arm64 or x86_64, with its secret in DATABASE_URL_SECRET;`,
    "  neon-migrate init --for TOOL writes that for CDK, Terraform, SAM, SST or Serverless.",
    "Then have it apply what is pending: neon-migrate invoke NAME-OF-THE-FUNCTION",
  ];
}

/** The function reads no drizzle.config file: who deploys it tells it of a ledger that is not in the usual place. */
function ledgerLines({ schema, table }: LedgerPlace): readonly string[] {
  if (schema === DEFAULT_LEDGER.schema && table === DEFAULT_LEDGER.table) return [];
  const variables = oneLine(`LEDGER_SCHEMA=${schema} LEDGER_TABLE=${table}`);
  return [`The ledger has a place of its own. Set in the function's environment: ${variables}`];
}

function fail(report: Report, folder: string | null, { json }: BundleOptions): number {
  printAnswer(json, {
    ...{ value: report, failed: true },
    text: (colors, width) =>
      renderReport(report, { action: "plan", folder, bundle: null, colors, width }),
  });
  return EXIT_CODE.failed;
}
