import { randomUUID } from "node:crypto";
import pc from "picocolors";
import { failedReport } from "../../lib/report/report.ts";
import { printableJson } from "../../lib/text.ts";
import { serve } from "../../local/serve.ts";
import { EXIT_CODE } from "../exit-code.ts";
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
    await serve({ folder: project.folder });
    return EXIT_CODE.done;
  } catch (thrown) {
    const report = failedReport(randomUUID(), thrown);
    console.error(
      options.json
        ? printableJson(report, 2)
        : renderReport(report, {
            action: "plan",
            folder: project?.folder ?? null,
            bundle: null,
            colors: pc,
          }),
    );
    return EXIT_CODE.failed;
  }
}
