/*
 * `init`: a look at a project that is there already. Its files and its database come in; what was found goes out, and the
 * file that deploys its migrations. Nothing is run, the database is only asked, and no file is written without `--yes`.
 */

import { randomUUID } from "node:crypto";
import { redact } from "../../lib/report/redact.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { Ending, reasonOf, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { printAnswer } from "../print.ts";
import { type Project, readProject } from "../project.ts";
import { renderReport } from "../render/report.ts";
import { type InitOptions, makeFile } from "./file.ts";
import { findAll } from "./findings.ts";
import { type InitOutput, renderInit } from "./render.ts";

/**
 * Says what a project has, and makes the file that deploys its migrations.
 * @returns the exit code
 */
export async function initCommand(options: InitOptions): Promise<number> {
  const outcome = await untilEnded(init(options));
  if (!(outcome instanceof Ending)) return outcome;
  const report = failedReport(randomUUID(), reasonOf(outcome));
  fail(report, null, options);
  return outcome.exit(report);
}

async function init(options: InitOptions): Promise<number> {
  let project: Project | null = null;
  try {
    project = await readProject(options, true, { mayLackFolder: true });
    const findings = await findAll(project, options);
    const deployment =
      options.for === undefined ? null : makeFile(options.for, findings, project, options);
    const isRefused = options.yes && deployment?.before === "other" && !deployment.written;
    const output: InitOutput = { ...findings, deployment };
    printAnswer(options.json, {
      ...{ value: output, failed: isRefused },
      text: (colors) => renderInit(output, options.yes, colors),
    });
    return isRefused ? EXIT_CODE.failed : EXIT_CODE.done;
  } catch (thrown) {
    return fail(failedReport(randomUUID(), thrown), project?.folder ?? null, options);
  }
}

function fail(report: Report, folder: string | null, { json }: InitOptions): number {
  printAnswer(json, {
    ...{ value: redact(report, []), failed: true },
    text: (colors) => renderReport(report, { action: "status", folder, bundle: null, colors }),
  });
  return EXIT_CODE.failed;
}
