import { randomUUID } from "node:crypto";
import { normalize } from "node:path";
import pc from "picocolors";
import { type AssetFile, portable, writeAsset } from "../../lib/compile/asset.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { tagsSince } from "../../lib/compile/since.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { counted } from "../../lib/text.ts";
import { checkBundle, type FiledFinding } from "../check/result.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { renderReport } from "../render/report.ts";

/** What `bundle` is called with. */
export interface BundleOptions {
  readonly folder: string;
  readonly out: string;
  readonly json: boolean;
  /** A prebuilt handler. Default: the one that the package ships. */
  readonly handler?: string;
  /** A migration's tag or a git ref: only the findings of what is new since then. */
  readonly since?: string;
}

/** What `bundle --json` prints. */
export interface BundleSummary {
  /** Changes when and only when the migrations do. */
  readonly hash: string;
  readonly folder: string;
  readonly out: string;
  readonly migrations: readonly {
    readonly tag: string;
    readonly when: number;
    readonly hash: string;
    readonly statements: number;
  }[];
  readonly files: readonly AssetFile[];
  readonly bytes: number;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  /** What `check` has against the migrations. */
  readonly findings: readonly FiledFinding[];
}

/**
 * Compiles a folder into a ready Lambda asset, and prints what it has made.
 * @returns the exit code
 */
export async function bundleCommand(options: BundleOptions): Promise<number> {
  try {
    const summary = await makeAsset(options);
    console.log(options.json ? JSON.stringify(summary, null, 2) : renderSummary(summary));
    return EXIT_CODE.done;
  } catch (thrown) {
    const report = failedReport(randomUUID(), thrown);
    console.log(options.json ? JSON.stringify(report, null, 2) : renderFailure(report, options));
    return EXIT_CODE.failed;
  }
}

async function makeAsset(options: BundleOptions): Promise<BundleSummary> {
  const { folder, out, handler } = options;
  const bundle = await compileBundle(normalize(folder));
  const since =
    options.since === undefined ? null : await tagsSince(bundle, normalize(folder), options.since);
  const files = await writeAsset(portable(bundle, folder), out, handler);
  return {
    hash: bundle.hash,
    folder,
    out,
    migrations: bundle.migrations.map(({ tag, when, hash, statements }) => ({
      tag,
      when,
      hash,
      statements: statements.length,
    })),
    files,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    warnings: bundle.warnings,
    findings: checkBundle({ bundle, folder, since, failOn: "never" }).findings,
  };
}

/** The summary as text for a person. Pure. */
function renderSummary({ migrations, out, bytes, hash, warnings }: BundleSummary): string {
  const statements = migrations.reduce((sum, each) => sum + each.statements, 0);
  return [
    ...warnings.map(({ code, message }) => `${pc.yellow(`! ${code}`)} ${message}`),
    pc.green(
      `${counted(migrations.length, "migration")}, ${counted(statements, "statement")} in ${out}, ${(bytes / 1000).toFixed(0)} kB.`,
    ),
    `Hash ${hash}`,
  ].join("\n");
}

function renderFailure(report: Report, { folder }: BundleOptions): string {
  return renderReport(report, { action: "plan", folder, bundle: null, colors: pc });
}
