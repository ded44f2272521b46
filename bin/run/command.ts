import { randomUUID } from "node:crypto";
import pc from "picocolors";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { createLog } from "../../lib/log.ts";
import { type Dependencies, migrate } from "../../lib/migrate/migrate.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import { printableJson } from "../../lib/text.ts";
import { type DatabaseOptions, withDatabase } from "../database.ts";
import { Ending, interruption, untilEnded } from "../endings.ts";
import { exitCodeFor } from "../exit-code.ts";
import { type Project, readProject } from "../project.ts";
import { progressLog } from "../render/progress.ts";
import { renderReport } from "../render/report.ts";

/** The options of `up`, `plan` and `status`. `parseRequest` reads the fields of the request. */
export interface RunOptions extends DatabaseOptions {
  readonly action: "up" | "plan" | "status";
  readonly exitCode?: boolean;
}

interface Outcome {
  readonly report: Report;
  /** Null when the project could not be read. */
  readonly folder: string | null;
  /** Null when the folder could not be compiled. */
  readonly bundle: Bundle | null;
}

/**
 * Runs `up`, `plan` or `status` and prints the report.
 * @returns the exit code
 */
export async function runCommand(options: RunOptions): Promise<number> {
  const requestId = randomUUID();
  let giveUp = (reason: unknown): Report => failedReport(requestId, reason);
  const onStart = (end: typeof giveUp) => {
    giveUp = end;
  };
  const outcome = await untilEnded(run(options, requestId, onStart));
  const { report, ...made } =
    outcome instanceof Ending
      ? { report: giveUp(interruption(outcome)), folder: null, bundle: null }
      : outcome;
  print(report, made, options);
  // Connection and relay may still be open. They end with the process, and the server rolls back.
  if (outcome instanceof Ending) outcome.exit(report);
  return exitCodeFor(report, options.exitCode === true);
}

async function run(
  options: RunOptions,
  requestId: string,
  onStart: NonNullable<Dependencies["onStart"]>,
): Promise<Outcome> {
  let project: Project | null = null;
  let bundle: Bundle | null = null;
  try {
    project = await readProject(options, true);
    const compiled = await compileBundle(project.folder);
    bundle = compiled;
    const report = await withDatabase(project, options.relay, (target) =>
      migrate(parseRequest(options), {
        ...{ bundle: compiled, requestId, target, deadline: null },
        log: options.json ? createLog(requestId) : progressLog(),
        onStart,
      }),
    );
    return { report, folder: project.folder, bundle };
  } catch (thrown) {
    return { report: failedReport(requestId, thrown), folder: project?.folder ?? null, bundle };
  }
}

function print(
  report: Report,
  made: Pick<Outcome, "folder" | "bundle">,
  { action, json }: RunOptions,
): void {
  if (json) {
    console.log(printableJson(report, 2));
    return;
  }
  console.log(renderReport(report, { action, ...made, colors: pc }));
}
