import { randomUUID } from "node:crypto";
import pc from "picocolors";
import type { Bundle } from "../../lib/bundle/bundle.ts";
import { compileBundle } from "../../lib/compile/compile.ts";
import { createLog } from "../../lib/log.ts";
import { migrate } from "../../lib/migrate/migrate.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import { parseRequest } from "../../lib/request.ts";
import { printableJson } from "../../lib/text.ts";
import { type DatabaseOptions, openDatabase } from "../database.ts";
import { EXIT_CODE, exitCodeFor } from "../exit-code.ts";
import { progressLog } from "../render/progress.ts";
import { renderReport } from "../render/report.ts";
import { catchSignals, interruption } from "../signals.ts";

/** The options of `up`, `plan` and `status`. `parseRequest` reads the fields of the request. */
export interface RunOptions extends DatabaseOptions {
  readonly action: "up" | "plan" | "status";
  readonly folder: string;
  readonly json: boolean;
  readonly exitCode?: boolean;
}

interface Outcome {
  readonly report: Report;
  /** Null when the folder could not be compiled. */
  readonly bundle: Bundle | null;
}

/**
 * Runs `up`, `plan` or `status` and prints the report.
 * @returns the exit code
 */
export async function runCommand(options: RunOptions): Promise<number> {
  const requestId = randomUUID();
  const signals = catchSignals();
  const outcome = await Promise.race([run(options, requestId), signals.caught]);
  signals.release();
  const interrupted = typeof outcome === "string";
  const { report, bundle } = interrupted
    ? { report: failedReport(requestId, interruption(outcome)), bundle: null }
    : outcome;
  print(report, bundle, options);
  // After a signal, connection and relay may still be open. They end with the process, and the server rolls back.
  if (interrupted) process.exit(EXIT_CODE.failed);
  return exitCodeFor(report, options.exitCode === true);
}

async function run(options: RunOptions, requestId: string): Promise<Outcome> {
  const database = openDatabase(options);
  let bundle: Bundle | null = null;
  try {
    bundle = await compileBundle(options.folder);
    const report = await migrate(parseRequest(options), {
      bundle,
      requestId,
      deadline: null,
      log: options.json ? createLog(requestId) : progressLog(),
      target: database.target,
    });
    return { report, bundle };
  } catch (thrown) {
    return { report: failedReport(requestId, thrown), bundle };
  } finally {
    await database.close();
  }
}

function print(report: Report, bundle: Bundle | null, { action, folder, json }: RunOptions): void {
  if (json) {
    console.log(printableJson(report, 2));
    return;
  }
  console.log(renderReport(report, { action, folder, bundle, colors: pc }));
}
