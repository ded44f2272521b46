import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { MigratorError, toError } from "../../lib/errors.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { quoted } from "../../lib/text.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { provePage, writePage } from "../page.ts";
import { printAnswer } from "../print.ts";
import { asReported } from "../render/as-reported.ts";
import { renderReport } from "../render/report.ts";
import { readReport } from "./read-report.ts";

/** The options of `report`. */
export interface ReportOptions {
  /** `-`: standard input. */
  readonly file: string;
  readonly html?: string;
  /** The folder of the migrations; undefined where nobody needs their SQL. */
  readonly folder?: string;
}

/**
 * Shows a report that somebody has kept: as the text that `up` prints, or as a page.
 * @returns the exit code: 0 also for the report of a run that failed
 */
export async function reportCommand(options: ReportOptions): Promise<number> {
  const { file, html, folder } = options;
  try {
    await provePage(html);
    const report = readReport(await contentOf(file), file);
    const compiled = folder === undefined ? null : await compileBundle(folder);
    const bundle = compiled === null ? null : asReported(compiled, report);
    if (html !== undefined) await writePage(html, report, bundle);
    else print(report, bundle, false);
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
