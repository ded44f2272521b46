import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { MigratorError, toError } from "../../lib/errors.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { quoted } from "../../lib/text.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { type PageOptions, provePages, writePages } from "../page.ts";
import { printAnswer } from "../print.ts";
import { asReported } from "../render/as-reported.ts";
import { renderReport } from "../render/report.ts";
import { readReport } from "./read-report.ts";

/** The options of `report`. */
export interface ReportOptions extends PageOptions {
  /** `-`: standard input. */
  readonly file: string;
  /** The folder of the migrations; undefined where nobody needs their SQL. */
  readonly folder?: string;
}

/**
 * Shows a report that somebody has kept: as the text that `up` prints, as a page, or as Markdown.
 * @returns the exit code: 0 also for the report of a run that failed
 */
export async function reportCommand(options: ReportOptions): Promise<number> {
  const { file, html, markdown, folder } = options;
  try {
    await provePages(options);
    const report = readReport(await contentOf(file), file);
    const compiled = folder === undefined ? null : await compileBundle(folder);
    const bundle = compiled === null ? null : asReported(compiled, report);
    await writePages(options, report, bundle);
    if (html === undefined && markdown === undefined) print(report, bundle, false);
    return EXIT_CODE.done;
  } catch (thrown) {
    print(failedReport(randomUUID(), thrown), null, true);
    return EXIT_CODE.failed;
  }
}

async function contentOf(file: string): Promise<string> {
  try {
    return file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  } catch (cause) {
    const message = `${quoted(file)} cannot be read: ${toError(cause).message}. Name a file that --json has written.`;
    throw new MigratorError("REPORT_INVALID", message, { cause });
  }
}

function print(report: Report, bundle: Bundle | null, failed: boolean): void {
  const action = report.running === undefined ? (report.steps ? "plan" : "up") : "status";
  printAnswer(false, {
    ...{ value: report, failed },
    text: (colors, width) => renderReport(report, { action, folder: null, bundle, colors, width }),
  });
}
