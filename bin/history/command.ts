import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { withConnection } from "../../lib/connection/with-connection.ts";
import { MigratorError } from "../../lib/errors.ts";
import { historyQuestion, readHistory } from "../../lib/history/read.ts";
import { runsOf } from "../../lib/history/runs.ts";
import { createLog, silentLog } from "../../lib/log.ts";
import { redact } from "../../lib/report/redact.ts";
import { failedReport, type Report } from "../../lib/report/report.ts";
import type { Target } from "../../lib/target/target.ts";
import { type DatabaseOptions, withDatabase } from "../database.ts";
import { Ending, reasonOf, untilEnded } from "../endings.ts";
import { EXIT_CODE } from "../exit-code.ts";
import { written } from "../page.ts";
import { printAnswer } from "../print.ts";
import { readProject } from "../project.ts";
import { renderError } from "../render/error.ts";
import { type HistoryAnswer, renderHistory } from "./render.ts";

/** The options of `history`. */
export interface HistoryCommandOptions extends DatabaseOptions {
  /** Number of runs to show. */
  readonly limit: number;
  /** The file for the runs as a page; undefined without one. */
  readonly html?: string;
}

/** The time for the question, beside that for connecting, in ms. */
const WORK_MS = 30_000;

/**
 * Shows the runs of a database, the newest first. It reads the history alone, and takes no lock.
 * @returns the exit code
 */
export async function historyCommand(options: HistoryCommandOptions): Promise<number> {
  const requestId = randomUUID();
  const secrets: string[] = [];
  const outcome = await untilEnded(answer(options, requestId, secrets));
  if (outcome instanceof Ending) {
    const report = redact(failedReport(requestId, reasonOf(outcome)), secrets);
    print(report, options);
    return outcome.exit(report);
  }
  print(outcome, options);
  return "runs" in outcome ? EXIT_CODE.done : EXIT_CODE.failed;
}

async function answer(
  options: HistoryCommandOptions,
  requestId: string,
  secrets: string[],
): Promise<HistoryAnswer | Report> {
  try {
    // No migration is read, so their folder need not be there.
    const project = await readProject({ ...options, folder: options.folder ?? "." }, true);
    const found = await withDatabase(project, options.relay, async (findTarget) => {
      const target = await findTarget();
      secrets.push(target.url);
      return await readRuns(target, requestId, options);
    });
    const told = redact(found, secrets);
    await writePage(told, options);
    return told;
  } catch (thrown) {
    return redact(failedReport(requestId, thrown), secrets);
  }
}

/** @throws MigratorError `PAGE_UNWRITABLE` */
async function writePage(told: HistoryAnswer, { html }: HistoryCommandOptions): Promise<void> {
  if (html === undefined) return;
  const { renderHistoryPage } = await import("../../lib/page/history.ts");
  await written(html, () => writeFile(html, renderHistoryPage(told)));
}

async function readRuns(
  target: Target,
  requestId: string,
  { limit, json }: HistoryCommandOptions,
): Promise<HistoryAnswer> {
  const deadline = Date.now() + target.connectTimeoutMs + WORK_MS;
  const connecting = {
    ...{ requestId, deadline, log: json ? createLog(requestId) : silentLog },
    opening: { history: historyQuestion(target.ledger) },
    ...{ reason: outOfTime(), graceMs: 1 },
  };
  const { database, history } = await withConnection(target, connecting, (connection) =>
    Promise.resolve({ database: connection.database, history: connection.opening.history }),
  );
  const { entries, exists, closed } = readHistory(history);
  const runs = runsOf(entries);
  return {
    ...{ schemaVersion: 1, database, exists, closed },
    ...{ runs: runs.slice(0, limit), more: Math.max(runs.length - limit, 0) },
  };
}

function outOfTime(): MigratorError {
  return new MigratorError("DEADLINE", "The database did not answer in time. Ask again.", {
    retryable: true,
  });
}

function print(value: HistoryAnswer | Report, { json }: HistoryCommandOptions): void {
  printAnswer(json, {
    ...{ value, failed: !("runs" in value) },
    text: (colors, width) =>
      "runs" in value
        ? renderHistory(value, { colors, width })
        : renderFailure(value, colors).join("\n"),
  });
}

function renderFailure(report: Report, colors: Parameters<typeof renderError>[2]["colors"]) {
  const { error } = report;
  const about = { action: "status", folder: null, bundle: null, colors } as const;
  return error === undefined ? [] : renderError(report, error, about);
}
