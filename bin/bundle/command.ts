import { randomUUID } from "node:crypto";
import pc from "picocolors";
import {
  type AssetOptions,
  type BundleSummary,
  makeAsset,
} from "../../lib/compile/asset-summary.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { counted, oneLine, printableJson } from "../../lib/text.ts";
import { Ending, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { renderReport, warningLines } from "../render/report.ts";

/** The options of `bundle`. */
export interface BundleOptions extends AssetOptions {
  readonly json: boolean;
}

/**
 * Compiles a folder into a ready Lambda asset, and prints a summary.
 * @returns the exit code
 */
export async function bundleCommand(options: BundleOptions): Promise<number> {
  const outcome = await untilEnded(bundle(options), []);
  const report = outcome instanceof Ending ? failedReport(randomUUID(), outcome.thrown) : outcome;
  if ("out" in report) {
    console.log(options.json ? printableJson(report, 2) : renderSummary(report));
    return EXIT_CODE.done;
  }
  console.log(options.json ? printableJson(report, 2) : renderFailure(report, options));
  return outcome instanceof Ending ? outcome.exit(report) : EXIT_CODE.failed;
}

async function bundle(options: BundleOptions): Promise<BundleSummary | Report> {
  try {
    return await makeAsset(options);
  } catch (thrown) {
    return failedReport(randomUUID(), thrown);
  }
}

/** Renders the summary as text for a person. Pure. */
function renderSummary({ migrations, out, bytes, hash, warnings }: BundleSummary): string {
  const statements = migrations.reduce((sum, each) => sum + each.statements, 0);
  return [
    ...warningLines(warnings, pc),
    pc.green(
      `${counted(migrations.length, "migration")}, ${counted(statements, "statement")} in ${oneLine(out)}, ${(bytes / 1000).toFixed(0)} kB.`,
    ),
    `Hash ${hash}`,
  ].join("\n");
}

function renderFailure(report: Report, { folder }: BundleOptions): string {
  return renderReport(report, { action: "plan", folder, bundle: null, colors: pc });
}
