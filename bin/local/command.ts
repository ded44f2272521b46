import { randomUUID } from "node:crypto";
import { failedReport } from "../../lib/report/report.ts";
import { DEFAULT_LEDGER } from "../../lib/target/target.ts";
import { serve } from "../../local/serve.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { printAnswer } from "../print.ts";
import { type Project, type ProjectOptions, readProject } from "../project.ts";
import { renderReport } from "../render/report.ts";

/** The options of `local`. */
export type LocalOptions = ProjectOptions;

/**
 * Runs the stand-ins of `local/` until a signal ends them.
 * @returns the exit code
 */
export async function localCommand(options: LocalOptions): Promise<number> {
  let project: Project | null = null;
  try {
    project = await readProject(options, false);
    const { folder, ledger } = project;
    const isUsual =
      ledger.schema === DEFAULT_LEDGER.schema && ledger.table === DEFAULT_LEDGER.table;
    await serve({ folder, ...(isUsual ? {} : { ledger }) });
    return EXIT_CODE.done;
  } catch (thrown) {
    const report = failedReport(randomUUID(), thrown);
    printAnswer(options.json, {
      ...{ value: report, failed: true },
      text: (colors) =>
        renderReport(report, {
          action: "plan",
          folder: project?.folder ?? null,
          bundle: null,
          colors,
        }),
    });
    return EXIT_CODE.failed;
  }
}
